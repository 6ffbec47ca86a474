// Package flow is the record model of flowtools: the registry of fields, the
// layout of every record version, batches of records and compiled copy plans.
//
// A record stays the bytes it was. A [Batch] is a [Layout] and a slab of whole
// records in canonical little-endian order on every host; a [Record] is one of
// them. Fields are read through the layout ([Layout.Uint]) and never unpacked
// into structs, so pad bytes and reserved words pass through every tool.
//
// The package depends on the standard library only and does no input or output.
package flow
