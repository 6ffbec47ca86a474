// Package netflow is the codec of NetFlow export datagrams (PDUs): versions 1,
// 5, 6, 7 and the aggregation methods 8.1 to 8.14, as one table of layouts.
//
// [Parse] checks a datagram, a [Decoder] turns its records into stream records
// of one version, a [Tracker] follows exporters and their sequence numbers
// within bounded memory, and an [Encoder] packs stream records into PDUs.
// Nothing allocates per datagram or record, and nothing logs: what is wrong
// with a datagram is a [Reason], small enough to count by.
package netflow
