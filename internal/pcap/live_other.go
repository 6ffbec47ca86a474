//go:build !linux

package pcap

import (
	"errors"
	"time"

	"golang.org/x/net/bpf"
)

var errNoLive = errors.New("live capture needs Linux packet sockets")

// Live is a live capture; there is none on this system.
type Live struct{}

// OpenLive always fails on this system.
func OpenLive(Config) (*Live, error) { return nil, errNoLive }

// DefaultInterface always fails on this system.
func DefaultInterface() (string, error) { return "", errNoLive }

// Name returns "".
func (l *Live) Name() string { return "" }

// Link returns Ethernet.
func (l *Live) Link() LinkType { return Ethernet }

// Start always fails.
func (l *Live) Start([]bpf.RawInstruction, int) error { return errNoLive }

// Next returns false.
func (l *Live) Next(*Packet) bool { return false }

// Stats returns nothing.
func (l *Live) Stats() (Stats, error) { return Stats{}, errNoLive }

// Close does nothing.
func (l *Live) Close() {}

// Wait always fails.
func Wait([]*Live, time.Duration) error { return errNoLive }
