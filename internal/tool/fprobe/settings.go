package fprobe

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"flowtools/internal/cli"
	"flowtools/internal/daemon"
	"flowtools/internal/probe"
	"flowtools/internal/probe/emit"
	"flowtools/pkg/flow"
)

// settings are the options, checked.
type settings struct {
	*options
	num        map[byte]int64 // by letter
	given      map[byte]bool
	version    int
	record     flow.Version // of the stream
	source     netip.Addr   // -a
	in, out    uint32
	autoIndex  bool
	nameRules  []rule
	paceBytes  int64
	pause      time.Duration
	parts      probe.Keys
	cisco      bool
	priority   int
	collectors []*emit.Collector
	identity   *daemon.Identity
	dst        int    // log destination, bits 1 and 2
	id         string // of log and pid file
	level      daemon.Severity
	offline    bool
	ipv6       bool
	narrow     bool
}

// rule maps interface names to indexes: prefix and unit number.
type rule struct {
	prefix string
	base   uint32
}

const unlimited = math.MaxUint32

// numbers are the options that take one: default, limits, and the message of fprobe 1.1 for others.
var numbers = []struct {
	letter    byte
	value     int64
	low, high int64
	complaint string
}{
	{letter: 's', value: 5, low: 1, high: unlimited},
	{letter: 'g', value: 30, high: unlimited},
	{letter: 'd', value: 60, high: unlimited},
	{letter: 'e', value: 300, high: unlimited},
	{letter: 'n', value: 5, low: 1, high: 10, complaint: "Illegal NetFlow version"},
	{letter: 'V', value: 5, low: 1, high: 1005, complaint: "Illegal record version"},
	{letter: 'z', value: 0, high: 9, complaint: "Compression level must be between 0 and 9"},
	{letter: 'j', value: 1, low: 1, high: unlimited, complaint: "Illegal sampling interval"},
	{letter: 'S', value: 256, high: unlimited},
	{letter: 'K', value: -1, low: 0, high: math.MaxUint16},
	{letter: 'm', value: 0, high: unlimited},
	{letter: 'b', value: 10000, low: 1, high: unlimited, complaint: "Illegal bulk size"},
	{letter: 'q', value: 100, low: 1, high: unlimited, complaint: "Illegal pending queue length"},
	{letter: 'B', value: 0, high: math.MaxInt32 / 1024},
	{letter: 'v', value: 6, high: 7},
}

// number reads a decimal number; anything else is an error.
func number(what, s string, low, high int64, complaint string) (int64, error) {
	n, err := strconv.ParseInt(s, 10, 64)
	switch {
	case err != nil && complaint == "":
		return 0, fmt.Errorf("%s: %q is not a number", what, s)
	case err != nil, n < low, n > high:
		if complaint != "" {
			return 0, errors.New(complaint)
		}
		return 0, fmt.Errorf("%s: %s is not between %d and %d", what, s, low, high)
	}
	return n, nil
}

func (o *options) parse(env *cli.Env) (*settings, error) {
	s := &settings{options: o, num: map[byte]int64{}, given: map[byte]bool{}, offline: len(o.files) > 0}
	for _, n := range numbers {
		text, given := o.text[n.letter]
		s.num[n.letter], s.given[n.letter] = n.value, given
		if !given {
			continue
		}
		v, err := number("-"+string(n.letter), text, n.low, n.high, n.complaint)
		if err != nil {
			return nil, err
		}
		s.num[n.letter] = v
	}
	switch s.version = int(s.num['n']); s.version {
	case 1, 5, 7, 9, 10:
	default:
		return nil, errors.New("Illegal NetFlow version")
	}
	s.record = flow.Version{Export: uint16(s.num['V'])}
	if _, err := flow.LayoutOf(s.record); err != nil {
		return nil, errors.New("Illegal record version")
	}
	if o.priority != "" {
		n, err := number("-r", o.priority, 0, 99, "Illegal realtime priority")
		if err != nil {
			return nil, err
		}
		s.priority = int(n)
	}
	if o.from != "" {
		a, err := netip.ParseAddr(o.from)
		if err != nil {
			return nil, emit.ErrSource
		}
		s.source = a.Unmap()
	}
	for _, step := range []func() error{s.parseIndexes, s.parsePace, s.parseKeys, s.parseLog} {
		if err := step(); err != nil {
			return nil, err
		}
	}
	if o.user != "" {
		id, err := daemon.LookupUser(o.user)
		if err != nil {
			return nil, err
		}
		s.identity = &id
	}
	if s.offline && len(o.interfaces) > 0 {
		return nil, errors.New("reading files and capturing on interfaces do not go together")
	}
	if s.offline && s.autoIndex && len(s.nameRules) > 0 {
		return nil, errors.New("-X: files have no interface names")
	}
	for i, arg := range env.Args {
		c, err := emit.ParseCollector(arg)
		if err != nil {
			return nil, fmt.Errorf("Error in collector #%d parameters", i+1)
		}
		if err := c.Bind(s.source); err != nil {
			return nil, err
		}
		s.collectors = append(s.collectors, c)
	}
	s.narrow = o.output != "" || len(s.collectors) > 0 && s.version < 9
	s.ipv6 = len(s.collectors) > 0 && s.version >= 9 || o.output == "" && len(s.collectors) == 0
	s.cisco = o.output != "" || s.version >= 9
	switch o.icmp {
	case "":
	case "ports", "cisco":
		s.cisco = o.icmp == "cisco"
	default:
		return nil, fmt.Errorf("--icmp: %q is neither ports nor cisco", o.icmp)
	}
	return s, nil
}

// parseIndexes reads -x and -X.
func (s *settings) parseIndexes() error {
	if s.rules != "" {
		s.autoIndex = true
		for part := range strings.SplitSeq(s.rules, ",") {
			prefix, base, _ := strings.Cut(part, ":")
			n, err := number("-X", base, 0, math.MaxUint16, "")
			if err != nil {
				return err
			}
			s.nameRules = append(s.nameRules, rule{prefix, uint32(n)})
		}
	}
	switch s.indexes {
	case "":
		return nil
	case "auto":
		s.autoIndex = true
		return nil
	}
	if s.autoIndex {
		return errors.New("-X goes with -x auto only")
	}
	in, out, both := strings.Cut(s.indexes, ":")
	n, err := number("-x", in, 0, math.MaxUint16, "")
	if err != nil {
		return err
	}
	s.in, s.out = uint32(n), uint32(n)
	if both {
		if n, err = number("-x", out, 0, math.MaxUint16, ""); err != nil {
			return err
		}
		s.out = uint32(n)
	}
	return nil
}

func (s *settings) parsePace() error {
	if s.pace == "" {
		return nil
	}
	octets, pause, ok := strings.Cut(s.pace, ":")
	if !ok {
		return fmt.Errorf("-t: %q is not octets:nanoseconds", s.pace)
	}
	n, err := number("-t", octets, 0, math.MaxInt64, "")
	if err != nil {
		return err
	}
	ns, err := number("-t", pause, 0, math.MaxInt64, "")
	s.paceBytes, s.pause = n, time.Duration(ns)
	return err
}

var keyParts = map[string]probe.Keys{"tos": probe.KeyTOS, "vlan": probe.KeyVLAN, "mac": probe.KeyMAC, "if": probe.KeyIf}

func (s *settings) parseKeys() error {
	if s.keys == "" {
		return nil
	}
	for part := range strings.SplitSeq(s.keys, ",") {
		k, ok := keyParts[part]
		if !ok {
			return fmt.Errorf("-T: %q is none of tos, vlan, mac, if", part)
		}
		s.parts |= k
	}
	return nil
}

// parseLog reads -l and -v. Files and systemd keep the process in the foreground.
func (s *settings) parseLog() error {
	s.level = daemon.Severity(s.num['v'])
	dst, id, _ := strings.Cut(s.log, ":")
	s.id = id
	if strings.ContainsRune(id, '/') {
		return errors.New("-l: the identifier has a slash")
	}
	if s.dst = logSyslog; s.offline {
		s.dst = logText
	}
	if dst != "" {
		n, err := number("-l", dst, 0, 3, "")
		if err != nil {
			return err
		}
		s.dst = int(n)
	}
	if s.output == "-" && !s.given['v'] {
		s.level = daemon.Warning
	}
	return nil
}

// foreground reports whether the process stays with the terminal.
func (s *settings) foreground() bool {
	return s.dst&logText != 0 || s.offline || s.systemd || s.output == "-"
}

// line is the start-up line that lists the options.
func (s *settings) line(skip int, promiscuous bool) string {
	bit := func(b bool) int {
		if b {
			return 1
		}
		return 0
	}
	source, log := "0.0.0.0", strconv.Itoa(s.dst)
	if s.source.IsValid() {
		source = s.source.String()
	}
	if s.id != "" {
		log += ":" + s.id
	}
	index := fmt.Sprintf("%d:%d", s.in, s.out)
	if s.autoIndex {
		index = "auto"
	}
	return fmt.Sprintf("options: p=%d s=%d g=%d d=%d e=%d n=%d a=%s x=%s b=%d m=%d q=%d B=%d r=%d t=%d:%d S=%d K=%d k=%d c=%s u=%s v=%d l=%s",
		bit(promiscuous), s.num['s'], s.num['g'], s.num['d'], s.num['e'], s.version, source, index, s.num['b'], s.num['m'], s.num['q'], s.num['B'],
		s.priority, s.paceBytes, s.pause.Nanoseconds(), s.num['S'], skip, bit(s.wire), s.chroot, s.user, s.level, log)
}

// flowSize is what -m counts for one flow.
const flowSize = 128

// metering are the options of the flow table.
func (s *settings) metering() probe.Options {
	o := probe.Options{
		Skip: int(s.num['K']), Wire: s.wire, IPv6: s.ipv6, Keys: s.parts, SCTP: s.output != "" || s.version >= 9,
		Narrow: s.narrow, Sample: int(s.num['j']), End: s.endOfFlow,
		Idle: s.num['d'], Active: s.num['e'], Fragment: s.num['g'], Scan: s.num['s'],
		Bulk: int(s.num['b']), Seed: rand.Uint64(),
	}
	if s.cisco {
		o.ICMP = probe.ICMPCisco
	}
	if kib := s.num['m']; kib > 0 {
		o.MaxFlows = int(max(kib*1024/flowSize, 1))
	}
	return o
}
