package flow

// Millis returns the absolute time of an uptime field of r (First or Last) in
// milliseconds since 1970 UTC, in unsigned 64-bit arithmetic.
//
// Compat: no wrap-around handling of the uptime, and sums below zero wrap at
// 2^64 (stream-format.md section 10; goldens stream/times-*).
func (l *Layout) Millis(r Record, uptime Field) uint64 {
	return l.Uint(r, UnixSecs)*1000 + l.Uint(r, UnixNsecs)/1e6 - l.Uint(r, SysUptime) + l.Uint(r, uptime)
}

// Seconds returns the low 32 bits of the whole seconds in ms.
func Seconds(ms uint64) uint32 { return uint32(ms / 1000) }

// Duration returns last - first in milliseconds, modulo 2^32.
func (l *Layout) Duration(r Record) uint32 {
	return uint32(l.Uint(r, Last)) - uint32(l.Uint(r, First))
}

// Flows returns how many flows r stands for: its dflows where the layout has
// them, else 1.
func (l *Layout) Flows(r Record) uint64 {
	if l.Fields.Has(DFlows) {
		return l.Uint(r, DFlows)
	}
	return 1
}

// Netmask returns the IPv4 mask of a prefix length.
//
// Compat: length 0 and lengths above 32 give 255.255.255.255 (conventions.md
// section 4).
func Netmask(length uint8) uint32 {
	if length == 0 || length > 32 {
		return 1<<32 - 1
	}
	return ^uint32(0) << (32 - length)
}
