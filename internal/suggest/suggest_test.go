package suggest

import (
	"slices"
	"strings"
	"testing"
)

func TestNearest(t *testing.T) {
	words := []string{"format", "force", "all", "formal"}
	for typed, want := range map[string]string{
		"fromat": "format", "forcee": "force", "al": "", "formatting": "", "zzzzz": "", "forma": "format", "": "", "alll": "all",
		strings.Repeat("format", 1000): "",
	} {
		if got := Nearest(typed, slices.Values(words)); got != want {
			t.Errorf("%.20q: %q, want %q", typed, got, want)
		}
	}
	if got := Nearest("format", slices.Values([]string(nil))); got != "" {
		t.Errorf("no words: %q", got)
	}
}

func TestDistance(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want int
	}{{"", "", 0}, {"", "abc", 3}, {"abc", "", 3}, {"kitten", "sitting", 3}, {"format", "fromat", 2}, {"abc", "abc", 0}} {
		if got := distance(c.a, c.b); got != c.want {
			t.Errorf("distance(%q, %q) = %d, want %d", c.a, c.b, got, c.want)
		}
	}
}
