package resolve

import "testing"

// TestLocal needs no name server: the names come from the hosts file or are no
// names at all.
func TestLocal(t *testing.T) {
	if a, ok := IPv4("localhost"); !ok || a>>24 != 127 {
		t.Errorf("localhost: %#x, %v", a, ok)
	}
	for _, name := range []string{"", "bad..name", "-", "::1"} {
		if a, ok := IPv4(name); ok {
			t.Errorf("%q: %#x", name, a)
		}
	}
	if name, ok := Name(0x7F000001); !ok || name == "" || name[len(name)-1] == '.' {
		t.Errorf("127.0.0.1: %q, %v", name, ok)
	}
}
