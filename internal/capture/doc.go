// Package capture is the network half that flow-capture, flow-receive,
// flow-send and flow-fanout share: address triples, sockets, the way of a
// datagram from the socket to accepted, decoded flows with its messages and
// counts, and the files of a collector: rotation, expiry, programs to run.
//
// One goroutine per socket receives into pooled buffers ([Listener]); one other
// goroutine owns everything behind them ([Intake], [Store]).
package capture
