package progress

import (
	"bytes"
	"strings"
	"testing"
	"time"
)

func TestBar(t *testing.T) {
	var out bytes.Buffer
	m := Bar(&out, "reading", 1000)
	m.Add(400)
	m.Done()
	if out.Len() > 0 {
		t.Errorf("a short run draws %q", out.String())
	}

	b := &bar{w: &out, what: "reading", total: 1000, due: time.Now().Add(-time.Second)}
	b.Add(500)
	if got := out.String(); !strings.Contains(got, "reading") || !strings.Contains(got, "50%") {
		t.Errorf("half way: %q", got)
	}
	b.Add(5000) // more than was thought
	b.Done()
	last := out.String()[strings.LastIndex(strings.TrimSuffix(out.String(), "\r"), "\r"):]
	if strings.TrimSpace(last) != "" || !strings.HasSuffix(last, "\r") {
		t.Errorf("Done leaves %q", last)
	}

	out.Reset()
	unknown := &bar{w: &out, what: "reading", total: -1, due: time.Now().Add(-time.Second)}
	unknown.Add(1 << 20)
	if !strings.Contains(out.String(), "reading") {
		t.Errorf("unknown total: %q", out.String())
	}
	unknown.Done()
}
