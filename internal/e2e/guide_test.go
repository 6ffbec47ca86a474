package e2e

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	_ "github.com/go-sql-driver/mysql" // the test looks into the database by itself

	"flowtools/internal/testdb"
)

// The table of the guide from 2013, with its column names in capitals.
const guideTable = `CREATE TABLE flows (
	UNIX_SECS int(10) unsigned NOT NULL default '0', UNIX_NSECS int(10) unsigned NOT NULL default '0', SYSUPTIME int(20) NOT NULL,
	EXADDR varchar(16) NOT NULL, DPKTS int(10) unsigned NOT NULL default '0', DOCTETS int(10) unsigned NOT NULL default '0',
	FIRST int(10) unsigned NOT NULL default '0', LAST int(10) unsigned NOT NULL default '0', ENGINE_TYPE int(10) NOT NULL, ENGINE_ID int(15) NOT NULL,
	SRCADDR varchar(16) NOT NULL default '0', DSTADDR varchar(16) NOT NULL default '0', NEXTHOP varchar(16) NOT NULL default '0',
	INPUT int(10) unsigned NOT NULL default '0', OUTPUT int(10) unsigned NOT NULL default '0', SRCPORT int(10) unsigned NOT NULL default '0',
	DSTPORT int(10) unsigned NOT NULL default '0', PROT int(8) unsigned NOT NULL default '0', TOS int(2) NOT NULL, TCP_FLAGS int(8) unsigned NOT NULL default '0',
	SRC_MASK int(8) unsigned NOT NULL default '0', DST_MASK int(8) unsigned NOT NULL default '0', SRC_AS int(8) unsigned NOT NULL default '0',
	DST_AS int(8) unsigned NOT NULL default '0') ENGINE=InnoDB`

// The guide's day: what the sensor sends = what the capture files hold = what is
// in the database that the rotate script loads them into.
func TestGuide(t *testing.T) {
	built(t)
	server := testdb.MariaDB(t)
	db, err := sql.Open("mysql", fmt.Sprintf("%s:%s@tcp(127.0.0.1:%d)/%s", testdb.User, testdb.Password, server.Port, testdb.Name))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Exec(guideTable); err != nil {
		t.Fatal(err)
	}

	dir := t.TempDir()
	work := filepath.Join(dir, "netflows")
	if err := os.Mkdir(work, 0o755); err != nil {
		t.Fatal(err)
	}
	script := filepath.Join(dir, "rotate")
	text := fmt.Sprintf("#!/bin/sh\nexec flow-export -f3 -u %s < \"$1\"\n", server.URI("flows"))
	if err := os.WriteFile(script, []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
	port := freeUDPPort(t)
	target := fmt.Sprintf("127.0.0.1/127.0.0.1/%d", port)
	capture := exec.Command("flow-capture", "-D", "-n", "287", "-N", "0", "-S", "5", "-w", work, "-R", script, target)
	var log bytes.Buffer
	capture.Stderr = &log
	if err := capture.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- capture.Wait() }()
	defer capture.Process.Kill()
	waitBound(t, port, ended, &log)

	out, err := exec.Command("fprobe", "-l2", "-fip", "-t", "65536:5000000", "-r", "../../testdata/demo.pcap", "--stats",
		fmt.Sprintf("127.0.0.1:%d", port)).CombinedOutput()
	if err != nil {
		t.Fatalf("fprobe: %v\n%s", err, out)
	}
	sent := number(t, string(out), `(?i)flows?(?: exported| sent)?[ :=]+(\d+)`)

	rows := func() (n int) {
		if err := db.QueryRow("SELECT count(*) FROM flows").Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	if n := rows(); n != 0 {
		t.Errorf("%d rows before the first rotation", n)
	}
	time.Sleep(200 * time.Millisecond) // the datagrams are in the socket; a real operator waits longer
	if err := capture.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	deadline := time.Now().Add(20 * time.Second)
	for rows() < sent && time.Now().Before(deadline) {
		time.Sleep(50 * time.Millisecond)
	}
	if err := capture.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-ended:
		if err != nil {
			t.Errorf("flow-capture: %v", err)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("flow-capture does not end")
	}
	files, err := filepath.Glob(filepath.Join(work, "ft-v05.*"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no capture files: %v\n%s", err, log.String())
	}
	count := run(t, "flow-cat "+work+" | flow-export -f2 | grep -vc '^#'")
	kept, err := strconv.Atoi(strings.TrimSpace(count))
	if err != nil {
		t.Fatal(err)
	}
	if stored := rows(); sent == 0 || kept != sent || stored != sent {
		t.Errorf("the sensor sent %d flows, the files hold %d, the table has %d\n%s", sent, kept, stored, log.String())
	}
	if left, _ := filepath.Glob(filepath.Join(work, "tmp-*")); len(left) > 0 {
		t.Errorf("open files left: %q", left)
	}

	// The guide's commands on those files.
	for command, want := range map[string]string{
		"flow-cat . | flow-filter -P 53 | flow-print -f 5": `(?m)^Start {13}End .*\n\n.* 53 `,
		"flow-cat . | flow-report":                         `(?m)^# rec2|Total Flows`,
		"flow-cat . | flow-export -f2 -m0x303000":          `(?m)^#:srcaddr,dstaddr,dstport,prot\n`,
		"flow-cat . | flow-stat -f10":                      `(?m)^10\.20\.0\.`,
		"flow-header < $(ls ft-* | head -1)":               `(?m)^# capture flows: +\d+$`,
	} {
		got := run(t, "cd "+work+" && "+command)
		if !regexp.MustCompile(want).MatchString(got) {
			t.Errorf("%s prints\n%.2000s", command, got)
		}
	}
	var octets int64
	if err := db.QueryRow("SELECT sum(DOCTETS) FROM flows").Scan(&octets); err != nil || octets == 0 {
		t.Errorf("octets in the table: %d, %v", octets, err)
	}
	if got := run(t, "cd "+work+" && flow-cat . | flow-export -f2 -mDOCTETS | awk 'NR>1{s+=$1}END{print s}'"); strings.TrimSpace(got) != strconv.FormatInt(octets, 10) {
		t.Errorf("octets in the table %d, in the files %s", octets, got)
	}
}

// run gives the standard output of a shell command that must succeed.
func run(t *testing.T, command string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "bash", "-o", "pipefail", "-c", command)
	// The children of the shell go with it.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s", command, err, errs.String())
	}
	return string(out)
}

// number is the first group of the last match of pattern in text.
func number(t *testing.T, text, pattern string) int {
	t.Helper()
	all := regexp.MustCompile(pattern).FindAllStringSubmatch(text, -1)
	if all == nil {
		t.Fatalf("no %s in:\n%s", pattern, text)
	}
	n, err := strconv.Atoi(all[len(all)-1][1])
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func freeUDPPort(t *testing.T) int {
	t.Helper()
	c, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	return c.LocalAddr().(*net.UDPAddr).Port
}

// waitBound waits until somebody is bound to the port. It only looks: binding it
// for a try could come between the program and its port.
func waitBound(t *testing.T, port int, ended <-chan error, log *bytes.Buffer) {
	t.Helper()
	want := fmt.Sprintf(":%04X ", port)
	for range 400 {
		table, err := os.ReadFile("/proc/net/udp")
		if err != nil {
			t.Skip("no /proc/net/udp on this system")
		}
		if strings.Contains(string(table), want) {
			return
		}
		select {
		case err := <-ended:
			t.Fatalf("flow-capture ended: %v\n%s", err, log.String())
		case <-time.After(25 * time.Millisecond):
		}
	}
	t.Fatal("flow-capture does not listen")
}
