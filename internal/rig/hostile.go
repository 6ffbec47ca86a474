//go:build linux

package rig

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

var hostileScenarios = []Scenario{
	{Name: "exporters", Title: "a million spoofed exporters: memory bounded, real exporters unharmed", Run: exporters},
	{Name: "garbage", Title: "random and mutated datagrams: no crash, every one counted by reason, real exporters unharmed", Run: garbageIn},
	{Name: "contained", Title: "nothing that is sent makes it write outside the work directory or run a command", Run: contained},
}

// metrics starts a collector with --metrics where it has that, and returns where
// they are.
func (b *Bench) metrics() (url string, args []string, err error) {
	options, err := b.Capture.Options()
	if err != nil || !options["--metrics"] {
		return "", nil, err
	}
	port, err := FreePort()
	if err != nil {
		return "", nil, err
	}
	addr := fmt.Sprintf("127.0.0.1:%d", port)
	return "http://" + addr + "/metrics", []string{"--metrics", addr}, nil
}

// scrape returns the samples of a metrics endpoint, by name with labels.
func scrape(ctx context.Context, url string) (map[string]float64, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: %s", url, resp.Status)
	}
	samples := map[string]float64{}
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		i := strings.LastIndexByte(line, ' ')
		if i < 0 {
			return nil, fmt.Errorf("%s: %q", url, line)
		}
		v, err := strconv.ParseFloat(line[i+1:], 64)
		if err != nil {
			return nil, fmt.Errorf("%s: %q", url, line)
		}
		samples[line[:i]] = v
	}
	return samples, nil
}

// counted waits until the metrics count what they should: the sum of the samples
// whose name with labels contains a text. They may lag behind.
func (b *Bench) counted(ctx context.Context, url, part string, want uint64) error {
	for limit := time.Now().Add(patience / 4); ; time.Sleep(100 * time.Millisecond) {
		samples, err := scrape(ctx, url)
		if err != nil {
			return err
		}
		sum := 0.0
		for name, v := range samples {
			if strings.Contains(name, part) {
				sum += v
			}
		}
		if uint64(sum) == want {
			return nil
		}
		if time.Now().After(limit) {
			b.Fail("%d for %s, the metrics count %.0f", want, part, sum)
			return nil
		}
	}
}

// exporters sends from a million addresses while some exporters that are real
// lose a datagram now and then: if the collector forgot one of them, or its
// engines, it would not notice.
func exporters(ctx context.Context, b *Bench) error {
	url, more, err := b.metrics()
	if err != nil {
		return err
	}
	c, err := b.start(ctx, "w", append([]string{"-N0", "-n-1", "-z1", "-V5"}, more...)...)
	if err != nil {
		return err
	}
	l := b.load(c, pick(b, 30_000.0, 30_000.0))
	l.Engines = Exporters(20, 3)
	l.Gap = 7
	l.Wait = true
	q, err := NewQueue(c.To.Port())
	if err != nil {
		return err
	}
	defer q.Close()
	spoofed := pick(b, 1_000_000, 100_000)
	sent := uint64(0)
	flood := func(sources, first, times int) error {
		s, err := NewSocket(c.To, false)
		if err != nil {
			return err
		}
		defer s.Close()
		e := Engine{}
		for i := range sources * times {
			if i%maxBatch == 0 {
				if err := q.Await(ctx); err != nil {
					return err
				}
			}
			// One flow each. All of a source come close together, so that it
			// looks as much like a real exporter as can be.
			n := uint32(first + i%times)
			e.Next = n * PDUFlows
			pdu := b.Traffic.Put(s.Slot(), &e, time.Now())
			pdu[3] = 1
			binary.BigEndian.PutUint32(pdu[16:], n)
			if err := s.Add(pduHeader+wireRecord, loopback(0x200000+i/times)); err != nil {
				return err
			}
		}
		err = s.Flush()
		sent += s.Datagrams
		return err
	}
	err = during(ctx, l, 0, func() error {
		time.Sleep(pick(b, 3*time.Second, 300*time.Millisecond)) // to become known
		if err := flood(spoofed, 0, 1); err != nil {
			return err
		}
		if err := flood(spoofed/10, 1, 10); err != nil {
			return err
		}
		// Every real exporter is heard of once more.
		for end := l.Sent() + uint64(len(l.Engines))*PDUFlows*20; l.Sent() < end && c.Running(); {
			time.Sleep(10 * time.Millisecond)
		}
		return nil
	})
	if err != nil {
		return err
	}
	drops, u, err := settled(ctx, c)
	if err != nil {
		return err
	}
	series := -1
	if url != "" {
		samples, err := scrape(ctx, url)
		if err != nil {
			return err
		}
		series = len(samples)
		b.Check(series < 20_000, "%d series in the metrics", series)
	}
	a, err := b.ended(c, syscall.SIGTERM)
	if err != nil {
		return err
	}
	b.bounded(u)
	b.Check(drops == 0, "%d datagrams dropped by the kernel", drops)
	missing := b.numbered(c, a, l, drops)
	b.Check(a.Lost == missing, "%d flows of real exporters were left out, %d are counted as lost", missing, a.Lost)
	b.Check(a.Flows == l.Sent()+sent, "%d flows kept, %d sent", a.Flows, l.Sent()+sent)
	b.Figure("spoofed exporters", "%d, in %d datagrams; %d real ones with %d engines beside them", spoofed, sent, 20, len(l.Engines))
	b.Figure("memory", "%s at most", octets(u.Peak))
	b.Figure("flows", "%d kept, all; %d left out by the real exporters, %d counted as lost", a.Flows, missing, a.Lost)
	if series >= 0 {
		b.Figure("series in the metrics", "%d", series)
	}
	return nil
}

// flood sends garbage to a collector, with room in its queue, and returns what
// is to become of it.
func flood(ctx context.Context, c *Collector, seed uint64, count int) (fates map[string]uint64, flows uint64, err error) {
	q, err := NewQueue(c.To.Port())
	if err != nil {
		return nil, 0, err
	}
	defer q.Close()
	s, err := NewSocket(c.To, false)
	if err != nil {
		return nil, 0, err
	}
	defer s.Close()
	g := garbage{rand.New(rand.NewPCG(seed, 4))}
	fates = map[string]uint64{}
	for i := range count {
		if i%maxBatch == 0 {
			if err := q.Await(ctx); err != nil {
				return nil, 0, err
			}
		}
		slot := s.Slot()
		n := g.put(slot)
		if f := judge(slot[:n]); f.reason != "" {
			fates[f.reason]++
		} else {
			flows += uint64(f.flows)
		}
		if err := s.Add(n, loopback(noise+g.IntN(50))); err != nil {
			return nil, 0, err
		}
	}
	err = s.Flush()
	if err == nil && s.Refused > 0 {
		err = fmt.Errorf("%d datagrams could not be sent", s.Refused)
	}
	return fates, flows, err
}

// garbageIn sends datagrams that no exporter sends, between those of a real one.
func garbageIn(ctx context.Context, b *Bench) error {
	url, more, err := b.metrics()
	if err != nil {
		return err
	}
	c, err := b.start(ctx, "w", append([]string{"-N0", "-n-1", "-z0", "-V5"}, more...)...)
	if err != nil {
		return err
	}
	l := b.load(c, 30_000)
	l.Wait = true
	total := pick(b, 10_000_000, 300_000)
	var fates map[string]uint64
	var flows uint64
	err = during(ctx, l, 0, func() (err error) {
		fates, flows, err = flood(ctx, c, b.Seed, total)
		return err
	})
	if err != nil {
		return err
	}
	drops, u, err := settled(ctx, c)
	if err != nil {
		return err
	}
	if url != "" {
		for reason, n := range fates {
			if err := b.counted(ctx, url, fmt.Sprintf("reason=%q", reason), n); err != nil {
				return err
			}
		}
	}
	a, err := b.ended(c, syscall.SIGTERM)
	if err != nil {
		return err
	}
	b.Check(drops == 0, "%d datagrams dropped by the kernel", drops)
	refused := uint64(0)
	var parts []string
	for reason, n := range fates {
		refused += n
		parts = append(parts, fmt.Sprintf("%s %d", reason, n))
	}
	slices.Sort(parts)
	b.numbered(c, a, l, drops)
	b.Check(a.Corrupt == refused, "%d datagrams to be refused, the header counts %d", refused, a.Corrupt)
	b.Check(a.Flows == l.Sent()+flows, "%d flows kept, %d to be taken", a.Flows, l.Sent()+flows)
	b.bounded(u)
	b.Figure("datagrams", "%d, of which %d are to be refused (%s), and %d flows kept", total, refused, strings.Join(parts, ", "), flows)
	b.Figure("refused and counted", "%d in the header of the file%s", a.Corrupt, map[bool]string{true: ", each reason right in the metrics"}[url != ""])
	b.Figure("a real exporter beside it", "%d flows, none missing", l.Sent())
	b.Figure("memory", "%s at most", octets(u.Peak))
	return nil
}

// programArgument is what the program of -R is to be called with: nothing that
// comes from outside but the version.
const programArgument = `^1 ft-v(0[1567]|08m(0[1-9]|1[0-4]))\.\d{4}-\d\d-\d\d\.\d{6}[+-]\d{4}$`

// contained watches what a collector does to the rest of the system while it is
// sent all kinds of things: the directories around it, the arguments of its
// program and, where there is strace, its system calls.
func contained(ctx context.Context, b *Bench) error {
	url, more, err := b.metrics()
	if err != nil {
		return err
	}
	options, err := b.Capture.Options()
	if err != nil {
		return err
	}
	if options["-c"] {
		more = append(more, "-c", "4")
	}
	dir, err := b.work("w")
	if err != nil {
		return err
	}
	script := "#!/bin/sh\necho \"$# $*\" >>../program.log\n"
	if err := os.WriteFile(filepath.Join(b.Dir, "program"), []byte(script), 0o755); err != nil {
		return err
	}
	port, err := FreePort()
	if err != nil {
		return err
	}
	args := append([]string{"-D", "-w", dir, "-N0", "-n-1", "-z1", "-R", "../program"}, more...)
	cmd := b.Capture.Command(append(args, fmt.Sprintf("127.0.0.1/0/%d", port))...)
	calls := filepath.Join(b.Dir, "calls")
	strace, err := exec.LookPath("strace")
	traced := err == nil && b.Heavy
	if traced {
		cmd.Args = append([]string{"strace", "-f", "-o", calls, "-s", "4096", "-e", "trace=%file,%process", "-e", "signal=none", b.Capture.Path}, cmd.Args[1:]...)
		cmd.Path = strace
	}
	c, err := Start(ctx, cmd, dir, port)
	if err != nil {
		return err
	}
	before, err := tree(b.Dir, dir)
	if err != nil {
		return err
	}
	pid := c.Process.Pid
	if traced {
		children := childrenOf(pid)
		if len(children) != 1 {
			return fmt.Errorf("strace runs %d programs", len(children))
		}
		pid = children[0]
	}
	count := pick(b, 1_000_000, 50_000)
	for round := range pick(b, 10, 3) {
		if _, _, err := flood(ctx, c, b.Seed+uint64(round), count/pick(b, 10, 3)); err != nil {
			return err
		}
		if err := intrude(ctx, url, c, b.Seed); err != nil {
			return err
		}
		if err := syscall.Kill(pid, syscall.SIGHUP); err != nil {
			return err
		}
		b.Check(complete(dir, round+1), "no rotation: %s", c.Log)
	}
	if err := syscall.Kill(pid, syscall.SIGTERM); err != nil {
		return err
	}
	select {
	case <-c.exited:
	case <-time.After(patience):
		b.Fail("does not end: %s", c.Log)
		c.Kill()
	}
	after, err := tree(b.Dir, dir)
	if err != nil {
		return err
	}
	delete(after, "program.log")
	delete(after, "calls")
	delete(before, "calls")
	for name, what := range after {
		b.Check(before[name] == what, "%s was made or changed: %s", name, what)
	}
	for name := range before {
		b.Check(after[name] != "", "%s is gone", name)
	}
	text, err := os.ReadFile(filepath.Join(b.Dir, "program.log"))
	if err != nil {
		return err
	}
	runs, argument := 0, regexp.MustCompile(programArgument)
	for line := range strings.Lines(string(text)) {
		runs++
		b.Check(argument.MatchString(strings.TrimSpace(line)), "the program was called with %q", line)
	}
	b.Figure("sent", "%d datagrams at random, junk and endless lines to the TCP ports; the program was run %d times, with the name of a file each time", count, runs)
	if traced {
		n, err := b.calls(calls, dir)
		if err != nil {
			return err
		}
		b.Figure("system calls", "%d that make, change, rename or remove a file or run a program, all of them looked at", n)
	}
	return nil
}

// tree returns the files below dir, but for those below except, with what tells
// a change.
func tree(dir, except string) (map[string]string, error) {
	list := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if path == except {
			return fs.SkipDir
		}
		if path == dir {
			return nil
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		name, err := filepath.Rel(dir, path)
		list[name] = fmt.Sprint(info.Mode(), info.Size(), info.ModTime().UnixNano())
		return err
	})
	return list, err
}

// childrenOf returns the children of a process.
func childrenOf(pid int) []int {
	threads, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
	if err != nil {
		return nil
	}
	var list []int
	for _, t := range threads {
		text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%s/children", pid, t.Name()))
		for _, f := range strings.Fields(string(text)) {
			if child, err := strconv.Atoi(f); err == nil {
				list = append(list, child)
			}
		}
	}
	return list
}

// intrude sends junk to the TCP ports of a collector.
func intrude(ctx context.Context, url string, c *Collector, seed uint64) error {
	g := garbage{rand.New(rand.NewPCG(seed, 5))}
	junk := make([]byte, 64<<10)
	g.fill(junk)
	targets := []string{c.To.String()}
	if url != "" {
		host := strings.TrimSuffix(strings.TrimPrefix(url, "http://"), "/metrics")
		targets = append(targets, host)
	}
	for _, to := range targets {
		for _, text := range [][]byte{
			junk,
			[]byte("GET /../../../../etc/passwd HTTP/1.0\r\n\r\n"),
			[]byte("PUT /../x HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nabcd"),
			[]byte("POST /$(touch${IFS}x) HTTP/1.1\r\nHost: `touch x`\r\n\r\n"),
			[]byte("GET /" + strings.Repeat("a", 1<<20)),
		} {
			conn, err := (&net.Dialer{Timeout: time.Second}).DialContext(ctx, "tcp", to)
			if errors.Is(err, syscall.ECONNREFUSED) {
				break // nobody there
			} else if err != nil {
				return err
			}
			_ = conn.SetDeadline(time.Now().Add(200 * time.Millisecond))
			_, _ = conn.Write(text)
			_, _ = io.CopyN(io.Discard, conn, 4096)
			conn.Close()
		}
	}
	return nil
}

// Calls as strace shows them: those that change files, openat only with flags
// that do, and those that run a program.
const (
	changingCalls = `^(?:open(?:at)?\((?:AT_FDCWD, )?"([^"]*)", [^)]*O_(?:WRONLY|RDWR|CREAT|TRUNC)|` +
		`(?:rename|link|symlink|unlink|mkdir|rmdir|creat|truncate|chmod|chown|mknod|utimes?)(?:at2?|at)?\((?:AT_FDCWD, )?"([^"]*)"(?:, (?:AT_FDCWD, )?"([^"]*)")?)`
	runningCalls = `^execve(?:at)?\((?:AT_FDCWD, )?"([^"]*)", (\[[^\]]*\])`
)

// calls reads what strace wrote.
func (b *Bench) calls(name, dir string) (int, error) {
	text, err := os.ReadFile(name)
	if err != nil {
		return 0, err
	}
	changing, running := regexp.MustCompile(changingCalls), regexp.MustCompile(runningCalls)
	n, program := 0, 0
	ours := map[string]bool{} // threads and processes of the program, whose calls are its own business
	for line := range strings.Lines(string(text)) {
		pid, call, _ := strings.Cut(strings.TrimSpace(line), " ")
		call = strings.TrimSpace(call)
		if m := running.FindStringSubmatch(call); m != nil {
			n++
			switch {
			case m[1] == b.Capture.Path:
			case strings.HasSuffix(m[1], "/program"):
				ours[pid] = true
				program++
			default:
				b.Check(ours[pid], "it runs %s", call)
			}
			continue
		}
		if ours[pid] {
			continue
		}
		for _, path := range paths(changing.FindStringSubmatch(call)) {
			n++
			abs := path
			if !filepath.IsAbs(abs) {
				abs = filepath.Join(dir, abs)
			}
			abs = filepath.Clean(abs)
			inside := strings.HasPrefix(abs, dir+"/")
			// Output of the program is kept in a file without a name; devices are nobody's files.
			harmless := strings.HasPrefix(abs, os.TempDir()+"/flow-capture-output-") || strings.HasPrefix(abs, "/dev/") || strings.HasPrefix(abs, "/proc/self/") || strings.HasPrefix(abs, "/sys/kernel/mm/")
			b.Check(inside || harmless, "it changes %s: %s", abs, call)
		}
	}
	b.Check(program > 0, "strace shows no program being run")
	return n, nil
}

func paths(match []string) []string {
	var list []string
	for _, m := range match[min(1, len(match)):] {
		if m != "" {
			list = append(list, m)
		}
	}
	return list
}
