// Package rig holds collectors to what docs/reliability.md promises: a load
// generator for NetFlow over UDP ([Load]), a harness for collector processes
// ([Collector]), an audit of the files that they leave ([Inspect]), and the
// scenarios that put the three together ([Scenarios]).
//
// Every flow that the generator sends has a number, and all else in it follows
// from the number, so the audit tells exactly which flows are there, missing,
// double or altered. go test runs each scenario in a light form that depends on
// no timing; scripts/reliability runs the heavy forms and prints figures.
//
// Nothing here is linked into a command. It needs Linux.
package rig
