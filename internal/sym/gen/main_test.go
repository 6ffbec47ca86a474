package main

import (
	"strings"
	"testing"
)

func TestConvert(t *testing.T) {
	const services = `# comment
shell		514/tcp		cmd syslog	# no passwords
syslog		514/udp
tftp		69/udp
HTTP		80/tcp		www
www-http	80/tcp
x		5/sctp

`
	got, err := convert(strings.NewReader(services), []string{"tcp", "udp"})
	if want := "69 tftp\n80 http\n514 shell\n"; err != nil || string(got) != want {
		t.Errorf("services: %q, %v, want %q", got, err, want)
	}
	got, err = convert(strings.NewReader("ip 0 IP # pseudo\nhopopt 0 HOPOPT\ntcp 6 TCP\n"), []string{""})
	if want := "0 ip\n6 tcp\n"; err != nil || string(got) != want {
		t.Errorf("protocols: %q, %v, want %q", got, err, want)
	}
	if _, err := convert(strings.NewReader("a b/tcp\n"), []string{"tcp"}); err == nil {
		t.Error("a bad number passed")
	}
}
