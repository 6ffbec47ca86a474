package export

import (
	"fmt"
	"testing"

	"flowtools/pkg/flow"
)

func TestParseMask(t *testing.T) {
	addresses := uint64(flow.Fields(flow.SrcAddr, flow.DstAddr))
	tests := []struct {
		text string
		want Mask
		err  string
	}{
		{text: "0x3000", want: Mask{Bits: 0x3000}},
		{text: "12288", want: Mask{Bits: 0x3000}},
		{text: "030000", want: Mask{Bits: 0x3000}},
		{text: " 0x3000zz", want: Mask{Bits: 0x3000}},
		{text: "+0X3000", want: Mask{Bits: 0x3000}},
		{text: "-1", want: Mask{Bits: 1<<64 - 1}},
		{text: "0xFFFFFFFFFFFFFFFFF", want: Mask{Bits: 1<<64 - 1}},
		{text: "", want: Mask{}},
		{text: "_srcaddr", want: Mask{}},
		{text: "srcaddr,dstaddr", want: Mask{Bits: addresses, Names: true}},
		{text: "SRCADDR,DstAddr", want: Mask{Bits: addresses, Names: true}},
		{text: "dstaddr,srcaddr", err: "Out of order field: srcaddr"},
		{text: "srcaddr,SrcAddr", err: "Duplicate field: SrcAddr"},
		{text: "srcaddr,", err: "Unrecognized field: "},
		{text: "srcaddr,,dstaddr", err: "Unrecognized field: "},
		{text: "srcaddr, dstaddr", err: "Unrecognized field:  dstaddr"},
		{text: "SRC_PREFIX", err: "Unrecognized field: SRC_PREFIX"},
	}
	for _, tt := range tests {
		got, err := ParseMask(tt.text)
		if tt.err != "" {
			if want := tt.err + "\nftxfield_parse(): failed"; err == nil || err.Error() != want {
				t.Errorf("ParseMask(%q): %v, want %s", tt.text, err, want)
			}
		} else if err != nil || got != tt.want {
			t.Errorf("ParseMask(%q) = %+v, %v", tt.text, got, err)
		}
	}
}

func FuzzParseMask(f *testing.F) {
	for _, s := range []string{"0x3000", "srcaddr,dstaddr", "-1", "dpkts,", "A", "unix_secs,UNIX_NSECS"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		m, err := ParseMask(s)
		switch {
		case err != nil || !m.Names:
			if err != nil && m != (Mask{}) {
				t.Errorf("%+v with %v", m, err)
			}
		case m.Bits == 0 || flow.FieldSet(m.Bits)&^flow.KnownFields != 0:
			t.Errorf("%q names %#x", s, m.Bits)
		default:
			again, err := ParseMask(flow.FieldSet(m.Bits).String())
			if err != nil || again != m {
				t.Errorf("%q is %+v, its names %+v, %v", s, m, again, err)
			}
		}
	})
}

func TestParseURI(t *testing.T) {
	tests := []struct {
		uri, password string
		want          URI
		bad           bool
	}{
		{uri: "", want: URI{User: "netflow", Password: "netflow", Host: "localhost", Name: "netflow", Table: "raw"}},
		{uri: "", password: "p", want: URI{User: "netflow", Password: "p", Host: "localhost", Name: "netflow", Table: "raw"}},
		{uri: "u:p:h:1:d:t", want: URI{User: "u", Password: "p", Host: "h", Port: "1", Name: "d", Table: "t"}},
		{uri: "u:p:h:1:d:t", password: "q", want: URI{User: "u", Password: "p", Host: "h", Port: "1", Name: "d", Table: "t"}},
		{uri: "u::h:1:d:t:more:parts", password: "q", want: URI{User: "u", Password: "q", Host: "h", Port: "1", Name: "d", Table: "t"}},
		{uri: ":::::", want: URI{}},
		{uri: "u:p:h:1:d", bad: true},
		{uri: "u", bad: true},
		{uri: "db://u:p%3A@[::1]:1/d?table=t", want: URI{User: "u", Password: "p:", Host: "::1", Port: "1", Name: "d", Table: "t"}},
		{uri: "db://h", want: URI{Host: "h", Table: "raw"}},
		{uri: "other://h", bad: true},
		{uri: "db://u:p@h:port/d", bad: true},
		{uri: "db://h/d?%zz", bad: true},
	}
	for _, tt := range tests {
		got, err := ParseURI(&Database{URI: tt.uri, Password: tt.password}, "db")
		got.Query = nil
		if (err != nil) != tt.bad || err == nil && fmt.Sprint(got) != fmt.Sprint(tt.want) {
			t.Errorf("ParseURI(%q) = %+v, %v", tt.uri, got, err)
		}
	}
}

func FuzzParseURI(f *testing.F) {
	for _, s := range []string{"", "u:p:h:1:d:t", "u:p", "db://u:p@h:1/d?table=t", "db://u:p@[::1/d", "db://%zz"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		const password = "correct horse"
		u, err := ParseURI(&Database{URI: s, Password: password}, "db")
		if err == nil && u.Password == "" {
			t.Errorf("%q is %+v, without the password", s, u)
		}
		if CheckURI(s) != nil && len(s) < uriLimit {
			t.Errorf("%q is too long", s)
		}
	})
}
