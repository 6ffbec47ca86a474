// Package ftfile reads and writes flow streams and files: the header with its
// type-length-value fields, records in either byte order, zlib compressed or
// not, of stream version 3 and (reading only) 1. It also knows the names of
// capture files and walks directories of them.
//
// The format is described in docs/format/ft-stream.md.
package ftfile
