//go:build !linux

package daemon

const (
	forceReceive = 0
	bufferScale  = 1
)
