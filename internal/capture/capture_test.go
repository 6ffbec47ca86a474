package capture

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"flowtools/internal/cdate"
	"flowtools/internal/cli"
	"flowtools/internal/flowtest"
	"flowtools/internal/streamio"
	"flowtools/pkg/flow"
	"flowtools/pkg/ftfile"
	"flowtools/pkg/netflow"
)

func names(name string) (uint32, bool) {
	if name == "router.example" {
		return 0xC0000207, true
	}
	return 0, false
}

func TestParseAddress(t *testing.T) {
	for _, tc := range []struct{ in, want, bind, exporter string }{
		{"", "0.0.0.0 0.0.0.0 9991 0", "0.0.0.0:9991", "0.0.0.0"},
		{"0/0/9991", "0.0.0.0 0.0.0.0 9991 0", "0.0.0.0:9991", "0.0.0.0"},
		{"//2055", "0.0.0.0 0.0.0.0 2055 0", "0.0.0.0:2055", "0.0.0.0"},
		{"10.0.0.1/router.example/0", "10.0.0.1 192.0.2.7 9991 0", "10.0.0.1:9991", "192.0.2.7"},
		{"127.1/127.0.0.257/65537/300/more/parts", "127.1.0.0 127.0.0.1 1 44", "127.1.0.0:1", "127.0.0.1"},
		{"10.0.0.1/224.1.2.3/5/7", "10.0.0.1 224.1.2.3 5 7", "0.0.0.0:5", "10.0.0.1"},
		{"0/232.1.2.3/5", "0.0.0.0 232.1.2.3 5 0", "0.0.0.0:5", "0.0.0.0"},
		{"0/0/5x/9y", "0.0.0.0 0.0.0.0 5 9", "0.0.0.0:5", "0.0.0.0"},
		{"::1/0/5", "::1 :: 5 0", "[::1]:5", "::"},
		{"0/2001:db8::1/5", ":: 2001:db8::1 5 0", "[::]:5", "2001:db8::1"},
		{"[::]/[2001:db8::1]", ":: 2001:db8::1 9991 0", "[::]:9991", "2001:db8::1"},
		{"::ffff:10.0.0.1/0", "10.0.0.1 0.0.0.0 9991 0", "10.0.0.1:9991", "0.0.0.0"},
		{"::/ff02::1234/5", ":: ff02::1234 5 0", "[::]:5", "::"},
	} {
		a, err := ParseAddress(tc.in, names)
		if err != nil {
			t.Errorf("%q: %v", tc.in, err)
			continue
		}
		if got := fmt.Sprintf("%v %v %d %d", a.Local, a.Remote, a.Port, a.TTL); got != tc.want {
			t.Errorf("%q: got %s, want %s", tc.in, got, tc.want)
		}
		if got := a.Bind().String(); got != tc.bind {
			t.Errorf("%q: binds to %s, want %s", tc.in, got, tc.bind)
		}
		if got := a.Exporter().String(); got != tc.exporter {
			t.Errorf("%q: exporter %s, want %s", tc.in, got, tc.exporter)
		}
	}
	for _, bad := range []string{"nowhere.example/0/1", "0/nowhere.example", ":::/0", "10.0.0.1/::1", "::1/10.0.0.1"} {
		if a, err := ParseAddress(bad, names); err == nil {
			t.Errorf("%q: %+v", bad, a)
		}
	}
}

func TestAddressNumbers(t *testing.T) {
	for _, s := range []string{"0.0.0.0", "1.2.3.4", "255.255.255.255"} {
		a := netip.MustParseAddr(s)
		if got := AddrFrom(AddrNumber(a)); got != a {
			t.Errorf("%v became %v", a, got)
		}
	}
	if n := AddrNumber(netip.MustParseAddr("::ffff:1.2.3.4")); n != 0x01020304 {
		t.Errorf("mapped: %#x", n)
	}
	if n := AddrNumber(netip.MustParseAddr("2001:db8::1")); n != 0 {
		t.Errorf("IPv6: %#x", n)
	}
}

// zone returns the zone of a TZ value.
func zone(tz string) *cdate.Zone { return cdate.LoadZone(tz, true) }

const centralEurope = "CET-1CEST,M3.5.0,M10.5.0/3"

func at(z *cdate.Zone, clock string) time.Time {
	t, err := time.Parse("2006-01-02 15:04:05", clock)
	if err != nil {
		panic(err)
	}
	return time.Unix(z.Mktime(t.Year(), int(t.Month()), t.Day(), t.Hour(), t.Minute(), t.Second()), 0)
}

func TestScheduleEnd(t *testing.T) {
	for _, tc := range []struct {
		tz, now string
		nano    time.Duration
		files   int
		want    string
	}{
		{"UTC0", "2024-01-15 10:07:33", 0, 96, "2024-01-15 10:15:00.000"},
		{"UTC0", "2024-01-15 10:15:00", 0, 96, "2024-01-15 10:30:00.000"},
		{"UTC0", "2024-01-15 10:14:59", 999_999_999, 96, "2024-01-15 10:15:00.000"},
		{"UTC0", "2024-01-15 10:15:00", 1, 96, "2024-01-15 10:30:00.000"},
		{"UTC0", "2024-01-15 23:59:59", 0, 96, "2024-01-16 00:00:00.000"},
		{"UTC0", "2024-01-15 00:00:00", 0, 1, "2024-01-16 00:00:00.000"},
		{"UTC0", "2024-01-15 10:07:33", 0, 1440, "2024-01-15 10:08:00.000"},
		{"UTC0", "2024-01-15 10:07:33", 0, 7, "2024-01-15 10:17:08.571"},
		{"XYZ-5:30", "2024-01-15 10:07:33", 0, 2, "2024-01-15 12:00:00.000"},
		// The days when the clocks change: a day has 86400 s from the midnight of the offset in force.
		{centralEurope, "2024-10-27 00:00:00", 0, 1, "2024-10-27 23:00:00.000"},
		{centralEurope, "2024-10-27 23:00:01", 0, 1, "2024-10-28 00:00:00.000"},
		{centralEurope, "2024-03-31 00:00:00", 0, 1, "2024-04-01 01:00:00.000"},
		{centralEurope, "2024-03-31 04:07:00", 0, 96, "2024-03-31 04:15:00.000"},
		{centralEurope, "2024-10-27 04:07:00", 0, 96, "2024-10-27 04:15:00.000"},
	} {
		z := zone(tc.tz)
		s := Schedule{Files: tc.files, Zone: z}
		end, ok := s.End(at(z, tc.now).Add(tc.nano))
		c := z.Civil(end.Unix())
		got := fmt.Sprintf("%04d-%02d-%02d %02d:%02d:%02d.%03d", c.Year, c.Month, c.Day, c.Hour, c.Min, c.Sec, end.Nanosecond()/1e6)
		if !ok || got != tc.want {
			t.Errorf("%s %s, %d files: %s, want %s", tc.tz, tc.now, tc.files, got, tc.want)
		}
	}
	if _, ok := (Schedule{Zone: zone("UTC0")}).End(time.Unix(0, 0)); ok {
		t.Error("no rotation has an end")
	}
}

// TestScheduleDay walks through a day for every number of files: that many ends,
// evenly apart, the last one at midnight.
func TestScheduleDay(t *testing.T) {
	z := zone("UTC0")
	midnight := at(z, "2024-01-15 00:00:00")
	for files := 1; files <= 1440; files++ {
		s := Schedule{Files: files, Zone: z}
		now, width := midnight, 24*time.Hour/time.Duration(files)
		for range files {
			end, _ := s.End(now)
			if d := end.Sub(now); d < width-time.Nanosecond || d > width+time.Nanosecond {
				t.Fatalf("%d files: interval of %v, want %v", files, d, width)
			}
			now = end
		}
		if now.Sub(midnight) != 24*time.Hour {
			t.Fatalf("%d files: the day ends at %v", files, now)
		}
	}
}

func TestStatisticsDue(t *testing.T) {
	z := zone("UTC0")
	for _, tc := range []struct {
		minutes int
		from    string
		length  time.Duration
		want    string // minutes of the hour
	}{
		{0, "10:00:30", 2 * time.Hour, ""},
		{7, "10:45:10", 40 * time.Minute, "49 56 3 7 14 21"},
		{60, "10:59:10", 2 * time.Hour, "0 0"},
		{60, "10:00:00", time.Hour, "0"},
		{15, "10:15:00", time.Hour, "30 45 0 15"},
		{1, "10:58:59", 3 * time.Minute, "59 0 1"},
	} {
		now := at(z, "2024-01-15 "+tc.from)
		s := NewStatistics(tc.minutes, z, now)
		var got []string
		for end := now.Add(tc.length); !now.After(end); now = now.Add(time.Second) {
			if s.Due(now) {
				got = append(got, fmt.Sprint(now.Minute()))
			}
		}
		if d := cmp.Diff(tc.want, strings.Join(got, " ")); d != "" {
			t.Errorf("every %d: %s", tc.minutes, d)
		}
	}
}

// TestStatisticsClockSet: a missed minute is caught up with, and a clock that is
// set back does not silence the statistics.
func TestStatisticsClockSet(t *testing.T) {
	z := zone("UTC0")
	now := at(z, "2024-01-15 10:01:00")
	s := NewStatistics(10, z, now)
	if !s.Due(now.Add(25 * time.Minute)) {
		t.Error("a late look finds nothing due")
	}
	if s.Due(now.Add(25*time.Minute + time.Second)) {
		t.Error("due twice")
	}
	back := now.Add(-10 * time.Hour)
	if s.Due(back) {
		t.Error("due because the clock was set back")
	}
	if !s.Due(back.Add(9 * time.Minute)) {
		t.Error("silent after the clock was set back")
	}
}

func TestLimiter(t *testing.T) {
	var l limiter
	now := time.Unix(1000, 0)
	n := 0
	for range 3 * limitBurst {
		if _, ok := l.allow(now); ok {
			n++
		}
	}
	if n != limitBurst {
		t.Errorf("%d at once, want %d", n, limitBurst)
	}
	now = now.Add(-time.Hour) // the clock is set back
	if _, ok := l.allow(now); ok {
		t.Error("a clock set back gives a budget")
	}
	held, ok := l.allow(now.Add(time.Second))
	if want := 2*limitBurst + 1; !ok || held != want {
		t.Errorf("%d held back, %v; want %d", held, ok, want)
	}
	for n = 0; ; n++ {
		if _, ok := l.allow(now.Add(time.Second)); !ok {
			break
		}
	}
	if n != limitRate-1 {
		t.Errorf("%d more in the next second, want %d", n, limitRate-1)
	}
}

func TestMask(t *testing.T) {
	for _, v := range []flow.Version{{Export: 1}, {Export: 5}, {Export: 1005}} {
		l := flowtest.Layout(v.Export, v.Agg)
		b := flowtest.Random(l, 200, 1)
		for i := 0; i < b.Len(); i += 3 {
			l.PutUint(b.At(i), flow.DstAddr, 0xE0000000|uint64(i))
		}
		before := bytes.Clone(b.Bytes())
		Mask(l, 0xFFFFF000)(b)
		old := &flow.Batch{Layout: l}
		old.SetBytes(before)
		for i := range b.Len() {
			for f := range l.Fields.All() {
				want := l.Uint(old.At(i), f)
				if (f == flow.SrcAddr || f == flow.DstAddr) && l.Uint(old.At(i), flow.DstAddr)>>28 != 0xE {
					want &= 0xFFFFF000
				}
				if got := l.Uint(b.At(i), f); got != want {
					t.Fatalf("%v record %d: %v = %#x, want %#x", v, i, f, got, want)
				}
			}
		}
	}
	if Mask(flowtest.Layout(8, 1), 0) != nil {
		t.Error("version 8 is masked")
	}
}

// transcript collects messages.
type transcript struct{ lines []string }

func (tr *transcript) warn(format string, args ...any) {
	tr.lines = append(tr.lines, fmt.Sprintf(format, args...))
}

func (tr *transcript) take() string {
	s := strings.Join(tr.lines, "\n")
	tr.lines = nil
	return s
}

// pdu makes a PDU of zero records.
func pdu(v flow.Version, n int, seq uint32) []byte {
	h := netflow.Header{Version: v, Count: n, Sequence: seq, UnixSecs: 1_700_000_000, EngineType: 1, EngineID: 2}
	b := make([]byte, h.Length())
	h.Put(b)
	return b
}

func v(export uint16, agg uint8) flow.Version { return flow.Version{Export: export, Agg: agg} }

func TestIntake(t *testing.T) {
	var tr transcript
	clock := time.Unix(1_700_000_000, 0)
	in := NewIntake(func() time.Time { return clock }, tr.warn)
	in.Remote = netip.MustParseAddr("10.0.0.1")
	set := func(b []byte, at int, octets ...byte) []byte { copy(b[at:], octets); return b }
	src, other, dst := netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("10.0.0.9"), netip.MustParseAddr("192.0.2.1")
	for _, tc := range []struct {
		name string
		src  netip.Addr
		data []byte
		ok   bool
		want string
	}{
		{"three octets", src, []byte{0, 5, 0}, false,
			"not enough bytes to decode the count and version.\nftpdu_verify(): src_ip=10.0.0.1 failed."},
		{"short v8", src, pdu(v(8, 1), 0, 0)[:20], false, "ftpdu_verify(): src_ip=10.0.0.1 failed."},
		{"version 9", src, []byte{0, 9, 0, 1, 0, 0}, false, "ftpdu version not set.\nftpdu_verify(): src_ip=10.0.0.1 failed."},
		{"count", src, set(pdu(v(5, 0), 30, 0), 2, 0, 31), false,
			"too many pdus (31) in record, max 30\nftpdu_verify(): src_ip=10.0.0.1 failed."},
		{"count of v7", src, set(pdu(v(7, 0), 1, 0), 2, 0, 28), false, "ftpdu_verify(): src_ip=10.0.0.1 failed."},
		{"length", src, pdu(v(5, 0), 2, 0)[:100], false,
			"pdu received size was wrong.  expected 100 got 120\nftpdu_verify(): src_ip=10.0.0.1 failed."},
		{"aggregation", src, set(pdu(v(8, 1), 1, 0), 22, 15), false, "ftpdu_verify(): src_ip=10.0.0.1 failed."},
		{"wrong exporter", other, pdu(v(5, 0), 1, 0), false, "Unexpected PDU: src_ip=10.0.0.9 not configured"},
		{"first", src, pdu(v(7, 0), 2, 100), true, "New exporter: time=1700000000 src_ip=10.0.0.1 dst_ip=192.0.2.1 d_version=7"},
		{"in order", src, pdu(v(7, 0), 2, 102), true, ""},
		{"gap", src, pdu(v(7, 0), 1, 114), true,
			"ftpdu_seq_check(): src_ip=10.0.0.1 dst_ip=192.0.2.1 d_version=7 expecting=104 received=114 lost=10"},
		{"late", src, pdu(v(7, 0), 1, 104), true,
			"ftpdu_seq_check(): src_ip=10.0.0.1 dst_ip=192.0.2.1 d_version=7 expecting=115 received=104 lost=4294967284"},
		{"other version", src, pdu(v(1, 0), 1, 0), true, "New exporter: time=1700000000 src_ip=10.0.0.1 dst_ip=192.0.2.1 d_version=1"},
		{"version 8", src, pdu(v(8, 3), 1, 0), false, "Unexpected PDU: src_ip=192.0.2.1 no v8 translation"},
	} {
		ok := in.Accept(&Datagram{Src: tc.src, Dst: dst, Data: tc.data}, 9991)
		if got := tr.take(); ok != tc.ok || got != tc.want {
			t.Errorf("%s: accepted %v, messages\n%s\nwant\n%s", tc.name, ok, got, tc.want)
		}
		if ok {
			if b := in.Flows(&Datagram{Src: tc.src, Dst: dst, Data: tc.data}); b.Layout.Version != v(7, 0) || b.Len() == 0 {
				t.Errorf("%s: %d flows of version %v", tc.name, b.Len(), b.Layout.Version)
			}
		}
	}
	if d := cmp.Diff(Counts{Corrupt: 9, Lost: 10, Resets: 1}, in.TakeCounts()); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff(Counts{}, in.TakeCounts()); d != "" {
		t.Error(d)
	}
	want := Totals{Datagrams: 14, Flows: 7, Lost: 10, Resets: 1, Refused: [netflow.NumReasons]uint64{
		netflow.TooShort: 2, netflow.UnknownVersion: 1, netflow.BadAggMethod: 1, netflow.TooManyRecords: 2,
		netflow.WrongLength: 1, netflow.WrongExporter: 1, netflow.NoTranslation: 1,
	}}
	if d := cmp.Diff(want, in.Totals); d != "" {
		t.Error(d)
	}
	in.Print(clock.Add(time.Minute), func(e *netflow.Exporter) string { return " more" })
	if got, want := tr.take(), `STAT: now=1700000060 startup=1700000000 src_ip=10.0.0.1 dst_ip=192.0.2.1 d_ver=1 pkts=1 flows=1 lost=0 reset=0 more
STAT: now=1700000060 startup=1700000000 src_ip=10.0.0.1 dst_ip=192.0.2.1 d_ver=7 pkts=4 flows=6 lost=10 reset=1 more`; got != want {
		t.Errorf("statistics:\n%s\nwant\n%s", got, want)
	}
}

func TestIntakeMethods(t *testing.T) {
	var tr transcript
	in := NewIntake(time.Now, tr.warn)
	if err := in.Fix(v(8, 2)); err != nil {
		t.Fatal(err)
	}
	d := &Datagram{Src: netip.MustParseAddr("10.0.0.1"), Dst: netip.MustParseAddr("192.0.2.1"), Data: pdu(v(8, 3), 1, 0)}
	if in.Accept(d, 1) || tr.take() != "Unexpected PDU: src_ip=192.0.2.1 multi v8 oagg=2 agg=3 over=2 ver=2" {
		t.Errorf("another method: %v", tr.lines)
	}
	d.Data = pdu(v(5, 0), 1, 0)
	if in.Accept(d, 1) || tr.take() != "Unexpected PDU: src_ip=192.0.2.1 no v8 translation" {
		t.Errorf("another version: %v", tr.lines)
	}
	for _, bad := range []flow.Version{{}, v(9, 0), v(8, 0), v(8, 15)} {
		if err := in.Fix(bad); err == nil {
			t.Errorf("version %v", bad)
		}
	}
}

// TestIntakeFlood: a flood of bad datagrams does not flood the log.
func TestIntakeFlood(t *testing.T) {
	var tr transcript
	clock := time.Unix(1_700_000_000, 0)
	in := NewIntake(func() time.Time { return clock }, tr.warn)
	bad := &Datagram{Src: netip.MustParseAddr("10.0.0.1"), Dst: netip.MustParseAddr("192.0.2.1"), Data: []byte{0, 9, 0, 0}}
	for range 100_000 {
		in.Accept(bad, 1)
	}
	if n := len(tr.lines); n != 2*limitBurst {
		t.Errorf("%d lines", n)
	}
	tr.take()
	clock = clock.Add(time.Second)
	in.Accept(bad, 1)
	if got := tr.take(); !strings.HasPrefix(got, fmt.Sprintf("%d messages like the next one held back\n", 100_000-limitBurst)) {
		t.Errorf("%s", got)
	}
	if in.Counts.Corrupt != 100_001 {
		t.Errorf("%d counted", in.Counts.Corrupt)
	}
}

func TestSubstituteAS(t *testing.T) {
	as := uint16(65001)
	for _, tc := range []struct {
		from, to flow.Version
		src, dst uint64 // of a flow with both 0
	}{
		{v(5, 0), v(5, 0), 65001, 65001},
		{v(8, 3), v(8, 3), 65001, 0},
		{v(8, 12), v(8, 12), 0, 65001},
		{v(8, 2), v(8, 2), 0, 0},
		{v(1, 0), v(5, 0), 0, 0}, // version 1 has no AS numbers to be 0
		{v(7, 0), v(1, 0), 0, 0},
	} {
		in := NewIntake(time.Now, t.Logf)
		in.ZeroAS = &as
		if err := in.Fix(tc.to); err != nil {
			t.Fatal(err)
		}
		d := &Datagram{Src: netip.MustParseAddr("10.0.0.1"), Dst: netip.MustParseAddr("192.0.2.1"), Data: pdu(tc.from, 2, 0)}
		if !in.Accept(d, 1) {
			t.Fatalf("%v to %v: refused", tc.from, tc.to)
		}
		b := in.Flows(d)
		for r := range b.All() {
			if src, dst := b.Layout.Uint(r, flow.SrcAS), b.Layout.Uint(r, flow.DstAS); src != tc.src || dst != tc.dst {
				t.Errorf("%v to %v: %d, %d", tc.from, tc.to, src, dst)
			}
		}
	}
	// Numbers that are there stay.
	l := flowtest.Layout(5, 0)
	in := NewIntake(time.Now, t.Logf)
	in.ZeroAS = &as
	data := pdu(v(5, 0), 1, 0)
	binary.BigEndian.PutUint16(data[24+40:], 7)
	d := &Datagram{Src: netip.MustParseAddr("10.0.0.1"), Data: data}
	if !in.Accept(d, 1) {
		t.Fatal("refused")
	}
	r := in.Flows(d).At(0)
	if l.Uint(r, flow.SrcAS) != 7 || l.Uint(r, flow.DstAS) != 65001 {
		t.Errorf("%d, %d", l.Uint(r, flow.SrcAS), l.Uint(r, flow.DstAS))
	}
}

func TestStatFlag(t *testing.T) {
	var n int
	f := StatFlag(&n)
	for _, s := range []string{"-1", "61", "100x"} {
		if err := f.Set(s); err == nil || err.Error() != "Stat interval must be between 0 and 60." {
			t.Errorf("%s: %v", s, err)
		}
	}
	if err := f.Set("15x"); err != nil || n != 15 {
		t.Errorf("%d, %v", n, err)
	}
}

func TestVersionFlag(t *testing.T) {
	var p *flow.Version
	f := VersionFlag(&p)
	for s, want := range map[string]flow.Version{"5": v(5, 0), "5.3": v(5, 0), "8.3": v(8, 3), "8": v(8, 0), "65541": v(5, 0)} {
		if err := f.Set(s); err != nil || *p != want {
			t.Errorf("%s: %v, %v", s, p, err)
		}
	}
	if err := f.Set("five"); err == nil {
		t.Error("five is a version")
	}
}

func newStore(t *testing.T, dir string, clock *time.Time, files, nesting int) *Store {
	t.Helper()
	comment := "a comment"
	return NewStore(StoreConfig{
		Output: streamio.Output{Level: 1, Comment: &comment}, Zone: zone("UTC0"), Files: files, Nesting: nesting,
		Path: func(name string) string { return filepath.Join(dir, name) },
		Now:  func() time.Time { return *clock },
		Warn: t.Logf,
	})
}

func listing(t *testing.T, dir string) []string {
	t.Helper()
	var list []string
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			list = append(list, strings.TrimPrefix(path, dir+"/"))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func TestStore(t *testing.T) {
	dir := t.TempDir()
	clock := time.Unix(1_700_000_000, 0) // 2023-11-14 22:13:20
	s := newStore(t, dir, &clock, 96, 2)
	if s.IsOpen() || s.Octets() != 0 || s.Flows() != 0 || !s.End().IsZero() {
		t.Error("something is open")
	}
	if err := s.Open(v(5, 0)); err != nil {
		t.Fatal(err)
	}
	if got := s.End().Unix(); got != 1_700_000_100 { // 22:15:00
		t.Errorf("ends at %d", got)
	}
	open := "2023/2023-11/tmp-v05.2023-11-14.221320+0000"
	if d := cmp.Diff([]string{open}, listing(t, dir)); d != "" {
		t.Error(d)
	}
	f, err := os.Open(filepath.Join(dir, open))
	if err != nil {
		t.Fatal(err)
	}
	h, err := ftfile.ReadHeader(f)
	f.Close()
	if err != nil || h.Flags != ftfile.FlagCompress || h.Start != 1_700_000_000 || h.End != 0 || !h.Has(ftfile.TagEnd) || h.Comments != "a comment" {
		t.Errorf("open header: %+v, %v", h, err)
	}
	records := flowtest.Random(flowtest.Layout(5, 0), 5000, 3)
	s.Write(records)
	if s.Flows() != 5000 {
		t.Errorf("%d flows", s.Flows())
	}
	clock = clock.Add(100 * time.Second)
	s.Close(Counts{Corrupt: 1, Lost: 2, Resets: 3})
	if err := s.Open(v(5, 0)); err != nil {
		t.Fatal(err)
	}
	clock = clock.Add(time.Second)
	s.Close(Counts{})
	s.Drain()
	s.Drain()
	closed := s.Take()
	want := []string{"2023/2023-11/ft-v05.2023-11-14.221320+0000", "2023/2023-11/ft-v05.2023-11-14.221500+0000"}
	if d := cmp.Diff(want, listing(t, dir)); d != "" {
		t.Error(d)
	}
	for i, c := range closed {
		info, err := os.Stat(filepath.Join(dir, want[i]))
		if c.Err != nil || c.Name != want[i] || err != nil || c.Size != info.Size() {
			t.Errorf("closed %+v, %v", c, err)
		}
	}
	f, err = os.Open(filepath.Join(dir, want[0]))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r, err := ftfile.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	var got []byte
	for b := range r.Batches() {
		got = append(got, b.Bytes()...)
	}
	if r.Err() != nil || !bytes.Equal(got, records.Bytes()) {
		t.Errorf("%d of %d octets, %v", len(got), len(records.Bytes()), r.Err())
	}
	h = r.Header()
	if h.Flags != ftfile.FlagCompress|ftfile.FlagDone || h.End != 1_700_000_100 || h.Flows != 5000 ||
		h.Corrupt != 1 || h.Lost != 2 || h.Resets != 3 || h.Hostname != Hostname() {
		t.Errorf("%+v", h)
	}
}

// TestStoreSameSecond opens many files in one second, over files that are there
// already: none is lost.
func TestStoreSameSecond(t *testing.T) {
	dir := t.TempDir()
	clock := time.Unix(1_700_000_000, 0)
	for _, taken := range []string{"ft-v05.2023-11-14.221320+0000", "tmp-v05.2023-11-14.221322+0000"} {
		if err := os.WriteFile(filepath.Join(dir, taken), []byte("precious"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	s := newStore(t, dir, &clock, 1, 0)
	one := flowtest.Random(flowtest.Layout(5, 0), 1, 1)
	for range 60 {
		if err := s.Open(v(5, 0)); err != nil {
			t.Fatal(err)
		}
		s.Write(one)
		s.Close(Counts{})
	}
	s.Drain()
	if n := len(listing(t, dir)); n != 62 {
		t.Errorf("%d files", n)
	}
	seen := map[string]bool{}
	for _, c := range s.Take() {
		if c.Err != nil || seen[c.Name] {
			t.Errorf("%+v", c)
		}
		seen[c.Name] = true
	}
	for _, taken := range []string{"ft-v05.2023-11-14.221320+0000", "tmp-v05.2023-11-14.221322+0000"} {
		if text, err := os.ReadFile(filepath.Join(dir, taken)); err != nil || string(text) != "precious" {
			t.Errorf("%s: %q, %v", taken, text, err)
		}
	}
}

func TestStoreErrors(t *testing.T) {
	dir := t.TempDir()
	clock := time.Unix(1_700_000_000, 0)
	if err := os.WriteFile(filepath.Join(dir, "2023"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	s := newStore(t, dir, &clock, 96, 1)
	defer s.Drain()
	if err := s.Open(v(5, 0)); err == nil || !strings.HasPrefix(err.Error(), "mkdir(2023): ") {
		t.Errorf("a file for a directory: %v", err)
	}
	s = newStore(t, filepath.Join(dir, "none"), &clock, 96, 0)
	defer s.Drain()
	if err := s.Open(v(5, 0)); err == nil || !strings.HasPrefix(err.Error(), "open(tmp-v05") {
		t.Errorf("no directory: %v", err)
	}
	// The file goes away under the store.
	s = newStore(t, dir, &clock, 96, 0)
	if err := s.Open(v(5, 0)); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(dir, "tmp-v05.2023-11-14.221320+0000")); err != nil {
		t.Fatal(err)
	}
	s.Close(Counts{})
	s.Drain()
	if c := s.Take(); len(c) != 1 || c[0].Err == nil || !strings.HasPrefix(c[0].Err.Error(), "rename(tmp-v05.2023-11-14.221320+0000,ft-v05.2023-11-14.221320+0000): ") {
		t.Errorf("%+v", c)
	}
}

func TestStoreReschedule(t *testing.T) {
	clock := time.Unix(1_700_000_000, 0)
	s := newStore(t, t.TempDir(), &clock, 96, 0)
	defer s.Drain()
	if err := s.Open(v(5, 0)); err != nil {
		t.Fatal(err)
	}
	clock = clock.Add(-24 * time.Hour)
	s.Reschedule()
	if got := s.End().Unix(); got != 1_700_000_100-86400 {
		t.Errorf("ends at %d", got)
	}
	s.Close(Counts{})
}

func TestRules(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("f", "filter-primitive p\n type ip-protocol\n permit @PROT\nfilter-primitive a\n type as\n permit 1\n"+
		"filter-definition tcp\n match ip-protocol p\nfilter-definition as\n match source-as a\n")
	write("t", "tag-action web\n type tcp-src-port\n match 80 set-src 7\ntag-definition web\n term\n action web\n")
	write("x", "xlate-action as\n type replace-source-as0\n as 9\nxlate-definition as0\n term\n action as\n")
	var tr transcript
	env := &cli.Env{Dir: dir, Now: time.Now, LookupEnv: func(string) (string, bool) { return "", false }, Log: func(s string) { tr.warn("%s", s) }}
	rules := &Rules{
		Tag: Rule{"t", "web"}, Filter: Rule{"f", "tcp"}, Xlate: Rule{"x", "as0"},
		Vars: map[string]string{"PROT": "6"},
	}
	l := flowtest.Layout(1005, 0)
	p, err := rules.Load(env, l)
	if err != nil {
		t.Fatal(err)
	}
	batch := func() *flow.Batch {
		b := flow.NewBatch(l)
		clear(b.Extend(4))
		for i, prot := range []uint64{6, 17, 6, 1} {
			l.PutUint(b.At(i), flow.Prot, prot)
		}
		l.PutUint(b.At(2), flow.SrcPort, 80)
		l.PutUint(b.At(2), flow.SrcAS, 5)
		return b
	}
	b, e := batch(), &netflow.Exporter{}
	p.Run(b, e)
	var got []string
	for r := range b.All() {
		got = append(got, fmt.Sprint(l.Uint(r, flow.Prot), l.Uint(r, flow.SrcTag), l.Uint(r, flow.SrcAS)))
	}
	if d := cmp.Diff([]string{"6 0 9", "6 7 5"}, got); d != "" || e.Dropped != 2 {
		t.Errorf("%d dropped, %s", e.Dropped, d)
	}
	(*Pipeline)(nil).Run(b, e)
	if b.Len() != 2 {
		t.Error("no rules drop flows")
	}

	// New rules on request; broken ones leave the old in force.
	rules.Vars = map[string]string{"PROT": "17"}
	if p = rules.Reload(env, l, p); tr.take() != "Reloading tags.\nReloading filters.\nReloading translations." {
		t.Errorf("%v", tr.lines)
	}
	b = batch()
	if p.Run(b, e); b.Len() != 1 {
		t.Errorf("%d flows by the new filter", b.Len())
	}
	write("f", "nonsense\n")
	p = rules.Reload(env, l, p)
	if got := tr.take(); !strings.HasSuffix(got, "ftfil_load("+dir+"/f): failed\nthe rules read before stay in force") {
		t.Errorf("%s", got)
	}
	b = batch()
	if p.Run(b, e); b.Len() != 1 {
		t.Errorf("%d flows by the old filter", b.Len())
	}

	write("f", "filter-primitive a\n type as\n permit 1\nfilter-definition as\n match source-as a\n")
	for _, tc := range []struct {
		rules Rules
		l     *flow.Layout
		want  string
	}{
		{Rules{Tag: Rule{"none", "web"}}, nil, "fttag_load(): failed"},
		{Rules{Tag: Rule{"t", "none"}}, nil, "fttag_load(): failed"},
		{Rules{Filter: Rule{"none", "tcp"}}, nil, "ftfil_load(" + dir + "/none): failed"},
		{Rules{Filter: Rule{"f", "none"}}, nil, "ftfil_def_find(none): failed"},
		{Rules{Filter: Rule{"f", "as"}}, flowtest.Layout(1, 0), "Filter references a field not in flow."},
		{Rules{Xlate: Rule{"none", "as0"}}, nil, "ftxlate_load(" + dir + "/none): failed"},
		{Rules{Xlate: Rule{"x", "none"}}, nil, "ftlate_def_find(none): failed"},
		{Rules{Xlate: Rule{"x", "as0"}}, flowtest.Layout(1, 0), "Xlate references a field not in flow."},
	} {
		if _, err := tc.rules.Load(env, tc.l); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("got %v, want %s", err, tc.want)
		}
	}
	if (&Rules{}).Any() || !rules.Any() {
		t.Error("Any")
	}
}

func BenchmarkIntake(b *testing.B) {
	in := NewIntake(time.Now, func(string, ...any) {})
	d := &Datagram{Src: netip.MustParseAddr("10.0.0.1"), Dst: netip.MustParseAddr("192.0.2.1"), Data: pdu(v(5, 0), 30, 0)}
	seq := uint32(0)
	b.ReportAllocs()
	for b.Loop() {
		binary.BigEndian.PutUint32(d.Data[16:], seq)
		seq += 30
		if !in.Accept(d, 9991) || in.Flows(d).Len() != 30 {
			b.Fatal("refused")
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*30), "ns/record")
}
