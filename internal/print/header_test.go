package print

import (
	"bytes"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"flowtools/internal/cdate"
	"flowtools/pkg/flow"
	"flowtools/pkg/ftfile"
)

// fullHeader has every field.
func fullHeader(flags ftfile.Flags) *ftfile.Header {
	h := &ftfile.Header{
		OrderByte: 1, Stream: 3, Version: flow.Version{Export: 5}, Flags: flags,
		Exporter: 0x0A010203, Start: 1400000000, End: 1400000900, Flows: 16, Lost: 7, Misordered: 1<<32 - 1, Corrupt: 2, Resets: 1,
		Hostname: "collector", Comments: "made by hand",
		IfNames:   []ftfile.IfName{{Addr: 0x0A010203, Index: 1, Name: "Ethernet0/0"}, {Addr: 0x0A010203, Index: 2, Name: "Serial1/0"}},
		IfAliases: []ftfile.IfAlias{{Addr: 0x0A010203, Indexes: []uint16{7}, Name: "lan"}, {Addr: 0x0A010203, Indexes: []uint16{1, 2, 300}, Name: "uplinks"}},
	}
	for t := ftfile.TagVendor; t <= ftfile.TagIfAlias; t++ {
		h.Mark(t)
	}
	return h
}

// interfaces are the last lines of a full header.
const interfaces = `
#
# ifname 10.1.2.3 2 Serial1/0
# ifname 10.1.2.3 1 Ethernet0/0
#
# ifalias 10.1.2.3 1 2 300 uplinks
# ifalias 10.1.2.3 7 lan
#
`

func TestAppendHeader(t *testing.T) {
	v814 := ftfile.NewHeader(flow.Version{Export: 8, Agg: 14}, ftfile.FlagStreaming)
	v814.OrderByte = 2
	v814.Mark(ftfile.TagVersion, ftfile.TagAggVersion, ftfile.TagAggMethod, ftfile.TagComments)
	broken := ftfile.NewHeader(flow.Version{Export: 1}, ftfile.FlagXlate|ftfile.FlagDone)
	broken.OrderByte = 3
	broken.Mark(ftfile.TagVersion, ftfile.TagStart)
	early := ftfile.NewHeader(flow.Version{Export: 1}, ftfile.FlagDone)
	early.Start, early.End = 5, 0
	early.Mark(ftfile.TagVersion, ftfile.TagStart, ftfile.TagEnd)
	for _, c := range []struct {
		name string
		h    *ftfile.Header
		tz   string
		want string
	}{
		{"done", fullHeader(ftfile.FlagDone), "UTC0", `#
# mode:                 normal
# capture hostname:     collector
# exporter IP address:  10.1.2.3
# capture start:        Tue, 13 May 2014 16:53:20 +0000
# capture end:          Tue, 13 May 2014 17:08:20 +0000
# capture period:       900 seconds
# compress:             off
# byte order:           little
# stream version:       3
# export version:       5
# lost flows:           7
# misordered flows:     4294967295
# corrupt packets:      2
# sequencer resets:     1
# comments:             made by hand
# capture flows:        16` + interfaces},
		{"open, compressed", fullHeader(ftfile.FlagCompress), "EST5EDT,M3.2.0,M11.1.0", `#
# mode:                 normal
# capture hostname:     collector
# exporter IP address:  10.1.2.3
# capture start:        Tue, 13 May 2014 12:53:20 -0400
# compress:             on
# byte order:           little
# stream version:       3
# export version:       5
# lost flows:           7
# misordered flows:     4294967295
# corrupt packets:      2
# sequencer resets:     1
# comments:             made by hand
# note, incomplete flow file` + interfaces},
		{"streaming", fullHeader(ftfile.FlagStreaming | ftfile.FlagDone), "UTC0", `#
# mode:                 streaming
# compress:             off
# byte order:           little
# stream version:       3
# export version:       5
# comments:             made by hand` + interfaces},
		{"preloaded", fullHeader(ftfile.FlagStreaming | ftfile.FlagPreloaded), "<+0530>-5:30", `#
# mode:                 streaming
# capture start:        Tue, 13 May 2014 22:23:20 +0530
# capture end:          Tue, 13 May 2014 22:38:20 +0530
# capture period:       900 seconds
# compress:             off
# byte order:           little
# stream version:       3
# export version:       5
# lost flows:           7
# misordered flows:     4294967295
# corrupt packets:      2
# sequencer resets:     1
# comments:             made by hand
# capture flows:        16` + interfaces},
		{"version 8, empty comment", v814, "UTC0", `#
# mode:                 streaming
# compress:             off
# byte order:           big
# stream version:       3
# export version:       8
# export agg_version:   2
# export agg_method:    14 (ToS Prefix Port)
# comments:             
#
`},
		{"translated, broken order, no end", broken, "UTC0", `#
# mode:                 normal
# translated:           yes
# capture start:        Thu, 01 Jan 1970 00:00:00 +0000
# compress:             off
# byte order:           BROKEN
# stream version:       3
# export version:       1
#
`},
		{"period wraps", early, "XST5", `#
# mode:                 normal
# capture start:        Wed, 31 Dec 1969 19:00:05 -0500
# capture end:          Wed, 31 Dec 1969 19:00:00 -0500
# capture period:       4294967291 seconds
# compress:             off
# byte order:           little
# stream version:       3
# export version:       1
#
`},
	} {
		t.Run(c.name, func(t *testing.T) {
			zone := cdate.LoadZone(c.tz, true)
			if diff := cmp.Diff("x"+c.want, string(AppendHeader([]byte("x"), c.h, '#', zone))); diff != "" {
				t.Error(diff)
			}
			nul := string(AppendHeader(nil, c.h, 0, zone))
			if want := strings.ReplaceAll("\n"+c.want, "\n#", "\n\x00")[1:]; nul != want {
				t.Errorf("with NUL: %q", nul)
			}
		})
	}
}

// FuzzHeader: whatever a header says, each of its lines starts with the comment
// character, unless a text in it brings lines of its own.
func FuzzHeader(f *testing.F) {
	for _, flags := range []ftfile.Flags{0, ftfile.FlagDone, ftfile.FlagStreaming, ftfile.FlagStreaming | ftfile.FlagPreloaded} {
		p, err := fullHeader(flags).Append(nil)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(p)
	}
	f.Fuzz(func(t *testing.T, p []byte) {
		h, err := ftfile.ReadHeader(bytes.NewReader(p))
		if err != nil {
			return
		}
		text := AppendHeader(nil, h, '%', cdate.UTC())
		if !bytes.HasPrefix(text, []byte("%\n% mode:")) || !bytes.HasSuffix(text, []byte("\n%\n")) {
			t.Fatalf("%q", text)
		}
		if bytes.ContainsRune(p, '\n') {
			return
		}
		for line := range bytes.Lines(text) {
			if line[0] != '%' {
				t.Fatalf("%q", text)
			}
		}
	})
}

// FuzzRows: any octets are a record, and come out as the model has them.
func FuzzRows(f *testing.F) {
	f.Add(uint8(5), false, bytes.Repeat([]byte{0xFF}, 72))
	f.Add(uint8(1), true, bytes.Repeat([]byte{1, 2, 0, 9}, 18))
	f.Fuzz(func(t *testing.T, n uint8, wide bool, p []byte) {
		format, err := Lookup(int(n) % len(formats))
		if err != nil {
			t.Fatal(err)
		}
		for _, v := range flow.Versions() {
			l, err := flow.LayoutOf(v)
			if err != nil {
				t.Fatal(err)
			}
			if len(p) < l.Size || l.Missing(format.Needs()) != 0 {
				continue
			}
			r := flow.Record(p[:l.Size])
			m := model{l: l, r: r, wide: wide, loc: utc}
			want := m.record(int(n) % len(formats))
			if want != "" {
				want += "\n"
			}
			if got := format.Rows(l, Options{Wide: wide}).Append(nil, r); string(got) != want {
				t.Fatalf("format %d, version %v: %q, want %q", n, v, got, want)
			}
		}
	})
}
