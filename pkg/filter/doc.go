// Package filter compiles tests of flow records to predicates: the filter files
// of flow-nfilter, made of typed primitives and of definitions that match them
// against fields, and the small pieces flow-filter is built from. Access lists
// are in package filter/acl.
//
// A predicate is a func(flow.Record) bool over records of the layout it was
// compiled for. It does not allocate and may be used by one goroutine at a time.
package filter
