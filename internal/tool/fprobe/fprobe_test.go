package fprobe

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/gzip"

	"flowtools/internal/cli"
	"flowtools/internal/pcap"
	"flowtools/internal/pcap/pcaptest"
	"flowtools/pkg/flow"
	"flowtools/pkg/ftfile"
)

const demo = "../../../testdata/demo.pcap"

func TestMain(m *testing.M) {
	if filepath.Base(os.Args[0]) == "fprobe" {
		cli.Main(Spec())
	}
	os.Exit(m.Run())
}

var be = binary.BigEndian

// run runs fprobe in this process.
func run(ctx context.Context, stdin io.Reader, args ...string) (code int, stdout, stderr string) {
	var out, errs bytes.Buffer
	env := &cli.Env{Stdin: stdin, Stdout: &out, Stderr: &errs, LookupEnv: func(string) (string, bool) { return "", false }}
	code = cli.Exec(ctx, Spec(), env, append([]string{"/usr/sbin/fprobe"}, args...))
	return code, out.String(), errs.String()
}

func TestCommandLine(t *testing.T) {
	to := "127.0.0.1:9"
	for _, c := range []struct {
		args string
		code int
		out  string // start of standard output
		err  string // start of standard error
	}{
		{"", 0, "Usage: fprobe [options] remote:port", ""},
		{"-h", 0, "Usage: fprobe [options] remote:port", ""},
		{"-Z " + to, 0, "Usage: fprobe", "Wrong parameters\n"},
		{to + " -s", 0, "Usage: fprobe", "Wrong parameters\n"},
		{"-s5 -s 5 " + to, 0, "Usage: fprobe", "Option `-s': repeat not allowed\n"},
		{"-fip -ftcp " + to, 0, "Usage: fprobe", "Option `-f': repeat not allowed\n"},
		{"-n3 " + to, 1, "", "Illegal NetFlow version\n"},
		{"-n x " + to, 1, "", "Illegal NetFlow version\n"},
		{"-q0 " + to, 1, "", "Illegal pending queue length\n"},
		{"-b0 " + to, 1, "", "Illegal bulk size\n"},
		{"-r100 " + to, 1, "", "Illegal realtime priority\n"},
		{"-ax " + to, 1, "", "Illegal source address\n"},
		{"-i any " + to + "/x", 1, "", "Illegal source address\n"},
		{"-unosuchuser " + to, 1, "", "getpwnam(nosuchuser): Unknown user\n"},
		{"foo", 1, "", "Error in collector #1 parameters\n"},
		{to + " 127.0.0.1:99999", 1, "", "Error in collector #2 parameters\n"},
		{to + "//x", 1, "", "Error in collector #1 parameters\n"},
		{"-s5x " + to, 1, "", "-s: \"5x\" is not a number\n"},
		{"-s0 " + to, 1, "", "-s: 0 is not between 1 and 4294967295\n"},
		{"-v8 " + to, 1, "", "-v: 8 is not between 0 and 7\n"},
		{"-l4 " + to, 1, "", "-l: 4 is not between 0 and 3\n"},
		{"-l2:a/b " + to, 1, "", "-l: the identifier has a slash\n"},
		{"-x a " + to, 1, "", "-x: \"a\" is not a number\n"},
		{"-x1:70000 " + to, 1, "", "-x: 70000 is not between 0 and 65535\n"},
		{"-Xeth:1 -x3 " + to, 1, "", "-X goes with -x auto only\n"},
		{"-Xeth " + to, 1, "", "-X: \"\" is not a number\n"},
		{"-t5 " + to, 1, "", "-t: \"5\" is not octets:nanoseconds\n"},
		{"-T tos,foo " + to, 1, "", "-T: \"foo\" is none of tos, vlan, mac, if\n"},
		{"-V 4 -w x", 1, "", "Illegal record version\n"},
		{"-z 10 -w x", 1, "", "Compression level must be between 0 and 9\n"},
		{"-j 0 " + to, 1, "", "Illegal sampling interval\n"},
		{"--icmp=both " + to, 1, "", "--icmp: \"both\" is neither ports nor cisco\n"},
		{"-r x -i lo " + to, 1, "", "reading files and capturing on interfaces do not go together\n"},
		{"-l2 -i nosuch0 -f ip " + to, 1, "[CRIT]: nosuch0: no such interface\n", "nosuch0: no such interface\n"},
		{"-r /nosuch/file -f ip " + to, 1, "", "open /nosuch/file: no such file or directory\n"},
		{"-r " + demo + " -f bad(( " + to, 1, "", "filter expression: syntax error at \"bad\" (column 1)\n"},
		{"-r " + demo + " -f @/nosuch/program " + to, 1, "[CRIT]: open /nosuch/program: no such file or directory\n", "open /nosuch/program"},
		{"-r fprobe.go -f ip " + to, 1, "", "fprobe.go: Unknown magic"},
		{"-r " + demo + " -a 192.0.2.1 -f ip " + to, 1, "", "bind(): "},
		{"-r " + demo + " -w /nosuch/dir/file", 1, "[WARNING]: Filter expression is empty! Are you sure?\n", "open(/nosuch/dir/file): no such file or directory\n"},
		{"-r " + demo + " --metrics nonsense " + to, 1, "", "--metrics: "},
		{"-r " + demo + " -f ip " + to, 0, "[INFO]: Starting 1.1...\n", ""},
		{"-r " + demo + " -l:id -f ip " + to, 0, "[INFO]: Starting 1.1...\n", ""},
	} {
		code, out, errs := run(context.Background(), nil, strings.Fields(c.args)...)
		if code != c.code || !strings.HasPrefix(out, c.out) || !strings.HasPrefix(errs, c.err) || c.err == "" && errs != "" {
			t.Errorf("fprobe %s: status %d, stdout %.200q, stderr %q", c.args, code, out, errs)
		}
	}
}

// TestQuiet: files are no reason to say what -l0 and -l1 keep from standard output.
func TestQuiet(t *testing.T) {
	for _, dst := range []string{"-l0", "-l1"} {
		if code, out, errs := run(context.Background(), nil, "-r", demo, dst, "-f", "ip", "127.0.0.1:9"); code != 0 || out != "" || errs != "" {
			t.Errorf("%s: status %d, stdout %q, stderr %q", dst, code, out, errs)
		}
	}
}

// record is a flow as records and datagrams have it.
type record struct {
	src, dst        uint32
	proto, flags    uint8
	sport, dport    uint16
	in, out         uint16
	packets, octets uint32
	first, last     int64 // ms
}

func compare(a, b record) int {
	return cmp.Or(cmp.Compare(a.first, b.first), cmp.Compare(a.src, b.src), cmp.Compare(a.dst, b.dst), cmp.Compare(a.proto, b.proto),
		cmp.Compare(a.sport, b.sport), cmp.Compare(a.dport, b.dport), cmp.Compare(a.packets, b.packets))
}

// records reads a stream.
func records(t *testing.T, stream string) (list []record) {
	t.Helper()
	r, err := ftfile.NewReader(strings.NewReader(stream))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for b := range r.Batches() {
		l := b.Layout
		for rec := range b.All() {
			u := func(f flow.Field) uint32 { return uint32(l.Uint(rec, f)) }
			list = append(list, record{u(flow.SrcAddr), u(flow.DstAddr), uint8(u(flow.Prot)), uint8(u(flow.TCPFlags)), uint16(u(flow.SrcPort)), uint16(u(flow.DstPort)),
				uint16(u(flow.Input)), uint16(u(flow.Output)), u(flow.DPkts), u(flow.DOctets), int64(l.Millis(rec, flow.First)), int64(l.Millis(rec, flow.Last))})
		}
	}
	if err := r.Err(); err != nil {
		t.Fatal(err)
	}
	return list
}

// truth are the IPv4 packets of a capture and the sum of their lengths.
func truth(t *testing.T, name string) (packets, octets uint64) {
	t.Helper()
	in, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	f, err := pcap.NewFile(in)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var p pcap.Packet
	for f.Next(&p) == nil {
		if be.Uint16(p.Data[12:]) == pcaptest.IPv4 {
			packets++
			octets += uint64(be.Uint16(p.Data[16:]))
		}
	}
	return packets, octets
}

func sums(list []record) (packets, octets uint64) {
	for _, r := range list {
		packets += uint64(r.packets)
		octets += uint64(r.octets)
	}
	return packets, octets
}

func TestStream(t *testing.T) {
	code, out, errs := run(context.Background(), nil, "-r", demo, "-fip", "-w", "-")
	if code != 0 || errs != "" {
		t.Fatalf("status %d, stderr %q", code, errs)
	}
	list := records(t, out)
	packets, octets := sums(list)
	if wantPackets, wantOctets := truth(t, demo); packets != wantPackets || octets != wantOctets {
		t.Errorf("%d packets, %d octets; the capture has %d, %d", packets, octets, wantPackets, wantOctets)
	}
	if h, _ := ftfile.ReadHeader(strings.NewReader(out)); h == nil || h.Version.Export != 5 || h.Flags != ftfile.FlagStreaming {
		t.Errorf("header %+v", h)
	}
	dns := 0
	for _, r := range list {
		if r.proto == 17 && r.dport == 53 {
			dns++
		}
		if r.proto == 1 && r.sport != 0 {
			t.Errorf("ICMP type in the source port: %+v", r)
		}
	}
	if dns < 50 {
		t.Errorf("%d DNS queries", dns)
	}

	// The same from standard input, compressed, and in two pieces; and as another version, compressed.
	whole, err := os.ReadFile(demo)
	if err != nil {
		t.Fatal(err)
	}
	var zipped bytes.Buffer
	z := gzip.NewWriter(&zipped)
	z.Write(whole)
	z.Close()
	// A file cut in the middle is two captures of which the second begins with the header again.
	at := 24
	for range 500 {
		at += 16 + int(binary.LittleEndian.Uint32(whole[at+8:]))
	}
	dir := t.TempDir()
	one, two := filepath.Join(dir, "one.pcap"), filepath.Join(dir, "two.pcap")
	if err := errors.Join(os.WriteFile(one, whole[:at], 0o600), os.WriteFile(two, append(slices.Clone(whole[:24]), whole[at:]...), 0o600)); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"-r", "-", "-w", "-"}, {"-i", "-", "-w", "-"}, {"-r", one, "-r", two, "-w", "-"}, {"-r", demo, "-w", "-", "-z6", "-V", "1"}, {"-r", demo, "-w", filepath.Join(dir, "out")}} {
		code, again, errs := run(context.Background(), &zipped, append(args, "-f", "ip")...)
		if args[1] == "-" {
			zipped.Reset()
			zipped.Write(whole)
		}
		if name := args[len(args)-1]; name == filepath.Join(dir, "out") {
			b, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			if again = string(b); again[16]&1 == 0 && !strings.Contains(again[:64], "\x08\x00\x04\x00\x01") {
				t.Errorf("%q: the header is not that of a complete file: % x", args, again[:32])
			}
		}
		if code != 0 || errs != "" {
			t.Errorf("%q: status %d, stderr %q", args, code, errs)
			continue
		}
		if d := gocmp.Diff(list, records(t, again), gocmp.AllowUnexported(record{})); d != "" {
			t.Errorf("%q: %.2000s", args, d)
		}
	}
}

// collect receives datagrams of version 5 until none comes any more.
func collect(t *testing.T) (addr string, result func() []record) {
	t.Helper()
	conn, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetReadBuffer(4 << 20)
	return conn.LocalAddr().String(), func() (list []record) {
		b := make([]byte, 2048)
		for {
			conn.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
			n, err := conn.Read(b)
			if err != nil {
				return list
			}
			base := int64(be.Uint32(b[8:]))*1000 + int64(be.Uint32(b[12:])/1e6) - int64(be.Uint32(b[4:]))
			for r := b[24:n]; len(r) >= 48; r = r[48:] {
				list = append(list, record{be.Uint32(r), be.Uint32(r[4:]), r[38], r[37], be.Uint16(r[32:]), be.Uint16(r[34:]), be.Uint16(r[12:]), be.Uint16(r[14:]),
					be.Uint32(r[16:]), be.Uint32(r[20:]), base + int64(be.Uint32(r[24:])), base + int64(be.Uint32(r[28:]))})
			}
		}
	}
}

func TestCollector(t *testing.T) {
	to, result := collect(t)
	code, out, errs := run(context.Background(), nil, "-r", demo, "-fip", "-x7:8", "-t20000:1000000", to)
	if code != 0 || errs != "" {
		t.Fatalf("status %d, stderr %q", code, errs)
	}
	want := []string{"[INFO]: Starting 1.1...", "[INFO]: pid: " + strconv.Itoa(os.Getpid()), "[INFO]: interface: " + demo + ", datalink: EN10MB (1)", `[INFO]: filter: "ip"`,
		"[INFO]: options: p=1 s=5 g=30 d=60 e=300 n=5 a=0.0.0.0 x=7:8 b=10000 m=0 q=100 B=0 r=0 t=20000:1000000 S=256 K=14 k=0 c= u= v=6 l=2",
		"[INFO]: collector #1: " + to + "/0.0.0.0/m", "[INFO]: pcap_loop() terminated: Success", "[INFO]: SIGTERM received. Emitting flows cache...", "[INFO]: Done.", ""}
	if d := gocmp.Diff(want, strings.Split(out, "\n")); d != "" {
		t.Error(d)
	}
	list := result()
	packets, octets := sums(list)
	if wantPackets, wantOctets := truth(t, demo); packets != wantPackets || octets != wantOctets {
		t.Errorf("%d packets, %d octets; the capture has %d, %d", packets, octets, wantPackets, wantOctets)
	}
	for _, r := range list {
		if r.in != 7 || r.out != 8 {
			t.Fatalf("interfaces %d, %d", r.in, r.out)
		}
	}
}

func TestStats(t *testing.T) {
	code, out, errs := run(context.Background(), nil, "-r", demo, "--stats", "-v3")
	if code != 0 || out != "" {
		t.Fatalf("status %d, stdout %q", code, out)
	}
	for _, want := range []string{"packets    1264\n", "octets  899959\n", "counted    1233\n", "ignored, not IP      31\n", "ignored, IPv6       0\n", "fragmented packets complete       4\n", "ipv6-icmp"} {
		if !strings.Contains(errs, want) {
			t.Errorf("no %q in\n%s", want, errs)
		}
	}
	if code, _, errs = run(context.Background(), nil, "-r", demo, "--stats", "-w", filepath.Join(t.TempDir(), "x")); code != 0 || !strings.Contains(errs, "ignored, IPv6      59\n") {
		t.Errorf("status %d, %s", code, errs)
	}
}

func TestDamagedInput(t *testing.T) {
	whole, err := os.ReadFile(demo)
	if err != nil {
		t.Fatal(err)
	}
	code, out, errs := run(context.Background(), bytes.NewReader(whole[:100000]), "-i", "-", "-fip", "-w", "-")
	if code != 0 || !strings.Contains(errs, "[WARNING]: -: capture file damaged at packet ") || len(records(t, out)) < 50 {
		t.Errorf("status %d, %d octets of stream, stderr %q", code, len(out), errs)
	}
	foreign := slices.Clone(whole)
	foreign[20] = 147
	code, _, errs = run(context.Background(), bytes.NewReader(foreign), "-i", "-", "-fip", "-w", "-")
	if code != 1 || !strings.Contains(errs, "unknown link type 147") {
		t.Errorf("status %d, stderr %q", code, errs)
	}
	// With -K the kind of link does not matter.
	code, known, _ := run(context.Background(), bytes.NewReader(whole), "-i", "-", "-K14", "-w", "-")
	if code != 0 || len(records(t, known)) == 0 {
		t.Fatalf("status %d, %d octets of stream", code, len(known))
	}
	code, out, errs = run(context.Background(), bytes.NewReader(foreign), "-i", "-", "-K14", "-w", "-")
	if code != 0 || !slices.Equal(records(t, out), records(t, known)) {
		t.Errorf("-K14: status %d, %d octets of stream, stderr %q", code, len(out), errs)
	}
}

type brokenPipe struct{}

func (brokenPipe) Write([]byte) (int, error) { return 0, errors.New("broken pipe") }

func TestWriteError(t *testing.T) {
	var errs bytes.Buffer
	env := &cli.Env{Stdout: brokenPipe{}, Stderr: &errs}
	if code := cli.Exec(context.Background(), Spec(), env, []string{"fprobe", "-r", demo, "-fip", "-w", "-"}); code != 1 || !strings.Contains(errs.String(), "broken pipe") {
		t.Errorf("status %d, %q", code, errs.String())
	}
	if _, err := os.Stat("/dev/full"); err != nil {
		t.Skip(err)
	}
	if code, _, errs := run(context.Background(), nil, "-r", demo, "-fip", "-w", "/dev/full"); code != 1 || !strings.Contains(errs, "no space left") {
		t.Errorf("status %d, %q", code, errs)
	}
}

// TestInterrupted ends while a pipe is silent: what was counted is sent.
func TestInterrupted(t *testing.T) {
	whole, err := os.ReadFile(demo)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	r, w := io.Pipe()
	defer w.Close()
	go func() {
		w.Write(whole[:len(whole)-5])
		time.Sleep(50 * time.Millisecond)
		cancel()
	}()
	code, out, errs := run(ctx, r, "-i", "-", "-fip", "-w", "-")
	if code != 0 || errs != "" || len(records(t, out)) < 100 {
		t.Errorf("status %d, %d octets, %q", code, len(out), errs)
	}
}

// TestCompiledFilter takes the program of tcpdump -ddd 'tcp'.
func TestCompiledFilter(t *testing.T) {
	name := filepath.Join(t.TempDir(), "tcp")
	if err := os.WriteFile(name, []byte("6\n40 0 0 12\n21 0 3 2048\n48 0 0 23\n21 0 1 6\n6 0 0 262144\n6 0 0 0\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	code, out, errs := run(context.Background(), nil, "-r", demo, "-f", "@"+name, "-w", "-")
	if code != 0 || errs != "" {
		t.Fatalf("status %d, %q", code, errs)
	}
	list := records(t, out)
	if len(list) < 20 || slices.ContainsFunc(list, func(r record) bool { return r.proto != 6 }) {
		t.Errorf("%d flows, or others than TCP", len(list))
	}
}

// shifted is the demo capture with time stamps that end now.
func shifted(t *testing.T) []byte {
	t.Helper()
	data, err := os.ReadFile(demo)
	if err != nil {
		t.Fatal(err)
	}
	le := binary.LittleEndian
	var last uint32
	walk := func(f func(at int)) {
		for at := 24; at < len(data); at += 16 + int(le.Uint32(data[at+8:])) {
			f(at)
		}
	}
	walk(func(at int) { last = max(last, le.Uint32(data[at:])) })
	delta := uint32(time.Now().Unix()) - last - 1
	walk(func(at int) { le.PutUint32(data[at:], le.Uint32(data[at:])+delta) })
	return data
}

// TestAgainstOriginal compares with Debian's fprobe 1.1.
func TestAgainstOriginal(t *testing.T) {
	t.Parallel()
	const original = "/usr/sbin/fprobe"
	if _, err := os.Stat(original); err != nil || testing.Short() {
		t.Skip("fprobe 1.1 is not installed")
	}
	if out, _ := exec.Command(original, "-h").Output(); !bytes.Contains(out, []byte("Version 1.1")) {
		t.Skip("another fprobe is installed")
	}
	data := shifted(t)
	to, result := collect(t)
	// Its queue overflows when a file comes too fast, and the end of the file does not wait for the queue.
	cmd := exec.Command(original, "-i", "-", "-fip", "-q", "100000", "-t", "30000:3000000", to)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	in.Write(data)
	time.Sleep(500 * time.Millisecond)
	in.Close()
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	want := result()
	to, result = collect(t)
	if code, _, errs := run(context.Background(), bytes.NewReader(data), "-i", "-", "-fip", "-t", "30000:3000000", to); code != 0 {
		t.Fatal(code, errs)
	}
	got := result()
	for _, list := range [][]record{want, got} {
		for i := range list {
			list[i].first, list[i].last = (list[i].first+5)/10, (list[i].last+5)/10 // the original's are up to 2 ms off
		}
		slices.SortFunc(list, compare)
	}
	if len(want) == 0 {
		t.Fatal("nothing from the original")
	}
	slack := gocmp.Comparer(func(a, b record) bool {
		near := func(x, y int64) bool { return x-y <= 1 && y-x <= 1 }
		ok := near(a.first, b.first) && near(a.last, b.last)
		a.first, a.last, b.first, b.last = 0, 0, 0, 0
		return ok && a == b
	})
	byKey := func(a, b record) int { a.first, b.first = 0, 0; return compare(a, b) }
	slices.SortFunc(want, byKey)
	slices.SortFunc(got, byKey)
	if d := gocmp.Diff(want, got, slack); d != "" {
		t.Errorf("%.3000s", d)
	}
}

// TestAgainstTshark compares the totals of the stream with tshark's.
func TestAgainstTshark(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("tshark"); err != nil {
		t.Skip("tshark is not installed")
	}
	out, err := exec.Command("tshark", "-r", demo, "-o", "ip.defragment:FALSE", "-Y", "ip", "-T", "fields", "-e", "ip.len", "-E", "occurrence=f").Output()
	if err != nil {
		t.Fatal(err)
	}
	var packets, octets uint64
	for line := range strings.Lines(string(out)) {
		n, err := strconv.Atoi(strings.TrimSpace(line))
		if err != nil {
			t.Fatal(err)
		}
		packets++
		octets += uint64(n)
	}
	_, stream, _ := run(context.Background(), nil, "-r", demo, "-fip", "-w", "-")
	if p, o := sums(records(t, stream)); p != packets || o != octets {
		t.Errorf("%d packets, %d octets; tshark counts %d, %d", p, o, packets, octets)
	}
}

// TestAgainstNfpcapd compares packets and octets by five-tuple with nfdump's sensor.
func TestAgainstNfpcapd(t *testing.T) {
	t.Parallel()
	for _, tool := range []string{"nfpcapd", "nfdump"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skip(tool + " is not installed")
		}
	}
	dir := t.TempDir()
	if out, err := exec.Command("nfpcapd", "-r", demo, "-w", dir, "-t", "3600").CombinedOutput(); err != nil {
		t.Fatalf("%v %s", err, out)
	}
	out, err := exec.Command("nfdump", "-q", "-N", "-R", dir, "-A", "proto,srcip,dstip,srcport,dstport", "-o", "fmt:%pr;%sa;%da;%sp;%dp;%pkt;%byt", "-N", "inet and (proto tcp or proto udp)").Output()
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]bool{}
	for line := range strings.Lines(string(out)) {
		if f := strings.Split(strings.ReplaceAll(line, " ", ""), ";"); len(f) == 7 {
			want[strings.TrimSpace(strings.Join(f, " "))] = true
		}
	}
	_, stream, _ := run(context.Background(), nil, "-r", demo, "-f", "tcp or udp", "-w", "-", "-d", "9999", "-e", "9999")
	names := map[uint8]string{6: "6", 17: "17"} // what -N shows
	missing := 0
	list := records(t, stream)
	for _, r := range list {
		addr := func(a uint32) net.IP { return net.IPv4(byte(a>>24), byte(a>>16), byte(a>>8), byte(a)) }
		line := fmt.Sprint(names[r.proto], " ", addr(r.src), " ", addr(r.dst), " ", r.sport, " ", r.dport, " ", r.packets, " ", r.octets)
		if names[r.proto] != "" && !want[line] {
			t.Logf("nfpcapd has no %s", line)
			missing++
		}
	}
	if missing > 0 || len(want) < 100 {
		t.Errorf("%d of %d flows differ; nfpcapd has %d", missing, len(list), len(want))
	}
}

// TestNewFormats sends version 9 and IPFIX; internal/probe/ipfix checks the contents.
func TestNewFormats(t *testing.T) {
	for _, version := range []string{"9", "10"} {
		conn, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
		if err != nil {
			t.Fatal(err)
		}
		conn.SetReadBuffer(4 << 20)
		code, _, errs := run(context.Background(), nil, "-r", demo, "-f", "ip or ip6", "-n", version, "-t20000:1000000", conn.LocalAddr().String())
		if code != 0 || errs != "" {
			t.Errorf("version %s: status %d, %q", version, code, errs)
		}
		b := make([]byte, 2048)
		conn.SetReadDeadline(time.Now().Add(time.Second))
		n, err := conn.Read(b)
		if err != nil || n > 1472 || strconv.Itoa(int(be.Uint16(b))) != version {
			t.Errorf("version %s: %d octets, %v", version, n, err)
		}
		conn.Close()
	}
}

func BenchmarkFile(b *testing.B) {
	whole, err := os.ReadFile(demo)
	if err != nil {
		b.Fatal(err)
	}
	packets := 0
	for at := 24; at < len(whole); at += 16 + int(binary.LittleEndian.Uint32(whole[at+8:])) {
		packets++
	}
	r := io.MultiReader(bytes.NewReader(whole[:24]), &endless{data: whole[24:], left: b.N/packets + 1})
	b.ReportAllocs()
	b.ResetTimer()
	env := &cli.Env{Stdin: r}
	if code := cli.Exec(context.Background(), Spec(), env, []string{"fprobe", "-i", "-", "-f", "ip", "-w", "-"}); code != 0 {
		b.Fatal(code)
	}
}

// endless reads data some times over.
type endless struct {
	data []byte
	at   int
	left int
}

func (e *endless) Read(p []byte) (int, error) {
	if e.left == 0 {
		return 0, io.EOF
	}
	n := copy(p, e.data[e.at:])
	if e.at += n; e.at == len(e.data) {
		e.at = 0
		e.left--
	}
	return n, nil
}
