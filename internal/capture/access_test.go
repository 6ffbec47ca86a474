package capture

import (
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestAccess(t *testing.T) {
	for _, tc := range []struct{ allow, deny, remote, want string }{
		{"-", "-", "192.0.2.1", "yes"},
		{"", "", "192.0.2.1", "yes"},
		{"", "ALL: ALL", "192.0.2.1", "no"},
		{"", "all : all", "2001:db8::1", "no"},
		{"", "# ALL: ALL\n\n  \nALL: ALL", "192.0.2.1", "no"},
		{"", "flow-capture-client: ALL", "192.0.2.1", "no"},
		{"", "sshd, flow-capture: ALL", "192.0.2.1", "yes"},
		{"flow-capture-client: 192.0.2.1", "ALL: ALL", "192.0.2.1", "yes"},
		{"flow-capture-client: 192.0.2.1", "ALL: ALL", "192.0.2.10", "no"},
		{"sshd flow-capture-client: 10.0.0.1, 192.0.2.1", "ALL: ALL", "192.0.2.1", "yes"},
		{"ALL: 192.0.2.", "ALL: ALL", "192.0.2.77", "yes"},
		{"ALL: 192.0.2.", "ALL: ALL", "192.0.20.7", "no"},
		{"ALL: 192.0.2", "ALL: ALL", "192.0.2.7", "no 1"},
		{"ALL: 10.1.0.0/255.255.0.0", "ALL: ALL", "10.1.200.3", "yes"},
		{"ALL: 10.1.0.0/255.255.0.0", "ALL: ALL", "10.2.0.3", "no"},
		{"ALL: 10.1.0.0/255.0.255.0", "ALL: ALL", "10.1.0.3", "no"},
		{"ALL: 10.1.0.0/16", "ALL: ALL", "10.1.0.3", "yes"},
		{"ALL: 10.1.0.0/33", "ALL: ALL", "10.1.0.3", "no"},
		{"ALL: [2001:db8::]/32", "ALL: ALL", "2001:db8:5::1", "yes"},
		{"ALL: [2001:db8::]/32", "ALL: ALL", "2001:db9::1", "no"},
		{"ALL: [2001:db8::1] : allow", "ALL: ALL", "2001:db8::1", "yes"},
		{"ALL: [2001:db8::1]", "ALL: ALL", "192.0.2.1", "no"},
		{"ALL: 192.0.2.1?", "ALL: ALL", "192.0.2.17", "yes"},
		{"ALL: 192.*.7", "ALL: ALL", "192.0.2.7", "yes"},
		{"ALL: 192.*.7", "ALL: ALL", "192.0.2.8", "no"},
		{"ALL: ALL EXCEPT 192.0.2.", "ALL: ALL", "192.0.2.8", "no"},
		{"ALL: ALL EXCEPT 192.0.2.", "ALL: ALL", "192.0.3.8", "yes"},
		{"ALL: ALL EXCEPT 192.0.2. EXCEPT 192.0.2.8", "ALL: ALL", "192.0.2.8", "yes"},
		{"ALL EXCEPT flow-capture-client: ALL", "ALL: ALL", "192.0.2.8", "no"},
		{"", "ALL EXCEPT sshd: ALL EXCEPT \\\n 192.0.2.8", "192.0.2.8", "yes"},
		{"", "ALL EXCEPT sshd: ALL EXCEPT \\\n 192.0.2.8", "192.0.2.9", "no"},
		{"ALL: 192.0.2.1: deny\nALL: 192.0.2.: allow\nALL: ALL : severity info : DENY", "", "192.0.2.1", "no"},
		{"ALL: 192.0.2.1: deny\nALL: 192.0.2.: allow\nALL: ALL : severity info : DENY", "", "192.0.2.2", "yes"},
		{"ALL: 192.0.2.1: deny\nALL: 192.0.2.: allow\nALL: ALL : severity info : DENY", "", "10.0.0.1", "no"},
		{"", "ALL: ALL : allow", "10.0.0.1", "yes"},
		{"ALL: ALL: spawn (echo %h >/tmp/x)\\: \\: deny", "", "10.0.0.1", "yes"},
		{"ALL: ALL: twist /bin/echo no", "", "10.0.0.1", "no"},
		{"flow-capture-client@10.9.9.9: ALL", "ALL: ALL", "192.0.2.1", "yes"},
		{"flow-capture-client@10.9.9.8: ALL", "ALL: ALL", "192.0.2.1", "no"},
		{"no rule\n:\nALL", "ALL: ALL", "192.0.2.1", "no"},
		{"ALL: LOCAL .example.org host.example root@192.0.2.1 @group /etc/x KNOWN", "ALL: ALL", "192.0.2.1", "no 7"},
		{"", "ALL: host.example", "192.0.2.1", "yes 1"},
	} {
		dir := t.TempDir()
		var tr transcript
		a := &Access{Service: "flow-capture-client", Allow: filepath.Join(dir, "allow"), Deny: filepath.Join(dir, "deny"), Warn: tr.warn}
		for name, text := range map[string]string{a.Allow: tc.allow, a.Deny: tc.deny} {
			if text == "-" {
				continue
			}
			if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		got := "no"
		if a.Permits(netip.MustParseAddr("10.9.9.9"), netip.MustParseAddr(tc.remote)) {
			got = "yes"
		}
		if n := len(tr.lines); n > 0 {
			got += " " + string(rune('0'+n))
		}
		if got != tc.want {
			t.Errorf("allow %q, deny %q: %s: %s, want %s %q", tc.allow, tc.deny, tc.remote, got, tc.want, tr.lines)
		}
	}
}

// TestAccessUnreadable: a file that cannot be read has no rules, and says so.
func TestAccessUnreadable(t *testing.T) {
	var tr transcript
	a := &Access{Service: "x", Allow: t.TempDir(), Deny: "/nowhere", Warn: tr.warn}
	if !a.Permits(netip.IPv4Unspecified(), netip.IPv4Unspecified()) || len(tr.lines) != 1 || !strings.HasPrefix(tr.lines[0], "open("+a.Allow+"): ") {
		t.Errorf("%q", tr.lines)
	}
}

func FuzzAccess(f *testing.F) {
	for _, s := range []string{"ALL: ALL", "a b, c: 10. EXCEPT 10.0.0.0/8: deny", "ALL: [::1]/128 EXCEPT *", "\\\n:\\::[", "x@1.2.3.4: @y /z"} {
		f.Add(s, s)
	}
	dir := f.TempDir()
	a := &Access{Service: "flow-capture-client", Allow: filepath.Join(dir, "allow"), Deny: filepath.Join(dir, "deny"), Warn: func(string, ...any) {}}
	local, remote := netip.MustParseAddr("10.9.9.9"), netip.MustParseAddr("192.0.2.1")
	write := func(f *testing.T, name, text string) {
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			f.Fatal(err)
		}
	}
	f.Fuzz(func(t *testing.T, allow, deny string) {
		write(t, a.Allow, allow)
		write(t, a.Deny, deny)
		a.Permits(local, remote)
		// A first rule for everybody decides, whatever follows.
		write(t, a.Allow, "ALL: ALL: deny\n"+allow)
		if a.Permits(local, remote) {
			t.Error("let in")
		}
	})
}
