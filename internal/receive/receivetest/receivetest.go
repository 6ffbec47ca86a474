// Package receivetest has a receive.Source for tests.
package receivetest

import (
	"net/netip"
	"sync"

	"flowtools/internal/capture"
)

// Source is a receive.Source for bursts that come from no socket.
type Source struct {
	Bursts chan *capture.Burst
	OnStop func() // called once, by Stop; nil closes Bursts

	once sync.Once
}

// Addr returns 127.0.0.1:9991.
func (s *Source) Addr() netip.AddrPort { return netip.MustParseAddrPort("127.0.0.1:9991") }

// Start implements receive.Source.
func (s *Source) Start() (bursts <-chan *capture.Burst, end func()) { return s.Bursts, s.Stop }

// Stop implements receive.Source.
func (s *Source) Stop() {
	s.once.Do(func() {
		if s.OnStop != nil {
			s.OnStop()
		} else {
			close(s.Bursts)
		}
	})
}

// Close does nothing.
func (s *Source) Close() {}
