// Package testdb starts private database servers for tests: MariaDB and
// PostgreSQL as Debian packages them, on a scratch data directory and a
// loopback port. A server is started once for a test binary, by the first test
// that asks for it, and dies with the binary.
package testdb

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// Account and database of every server here.
const (
	User     = "netflow"
	Password = "netflow"
	Name     = "netflow"
)

// mandatory is the environment variable that turns missing servers into failures.
const mandatory = "FT_E2E"

const startLimit = 60 * time.Second

// Server is a running server.
type Server struct {
	Port   int
	Socket string // file of MariaDB, directory of PostgreSQL
	CA     string // file with the certificate that signed the server's, for 127.0.0.1

	argv  []string
	ready func() error
	cred  *syscall.Credential
	dir   string
	log   string
	run   *process
}

// URI is a value of flow-export -u for a table of the server.
func (s *Server) URI(table string) string {
	return fmt.Sprintf("%s:%s:127.0.0.1:%d:%s:%s", User, Password, s.Port, Name, table)
}

// kind is a sort of server and the one instance of it.
type kind struct {
	product string // Debian package
	prepare func(s *Server) error
	setup   func(s *Server) error // once the server runs

	once   sync.Once
	server *Server
	err    error
}

var errMissing = errors.New("not installed")

var (
	mariadb  = kind{product: "mariadb-server", prepare: prepareMariaDB, setup: func(*Server) error { return nil }}
	postgres = kind{product: "postgresql", prepare: preparePostgres, setup: createDatabase}
)

// MariaDB returns the MariaDB server, starting it if need be. Without one the
// test is skipped, or fails where FT_E2E=1.
func MariaDB(t testing.TB) *Server { return mariadb.get(t) }

// Postgres returns the PostgreSQL server, starting it if need be. Without one
// the test is skipped, or fails where FT_E2E=1.
func Postgres(t testing.TB) *Server { return postgres.get(t) }

func (k *kind) get(t testing.TB) *Server {
	t.Helper()
	if testing.Short() {
		t.Skip("database servers are not for -short")
	}
	k.once.Do(func() { k.server, k.err = k.start() })
	switch {
	case errors.Is(k.err, errMissing) && os.Getenv(mandatory) != "1":
		t.Skipf("%s is not installed: apt-get install %s", k.product, k.product)
	case k.err != nil:
		t.Fatalf("%s: %v", k.product, k.err)
	}
	return k.server
}

// Main runs the tests of a package and stops the servers they started. It is
// for TestMain: os.Exit(testdb.Main(m)).
func Main(m *testing.M) int {
	code := m.Run()
	for _, k := range []*kind{&mariadb, &postgres} {
		if k.server != nil {
			k.server.Kill()
			os.RemoveAll(k.server.dir)
		}
	}
	return code
}

func (k *kind) start() (*Server, error) {
	dir, err := os.MkdirTemp("", "ft")
	if err != nil {
		return nil, err
	}
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	s := &Server{Port: port, dir: dir, log: filepath.Join(dir, "log")}
	err = s.makeCertificate()
	if err == nil {
		err = k.prepare(s)
	}
	if err != nil {
		os.RemoveAll(dir)
		return nil, err
	}
	err = s.launch()
	if err == nil {
		err = k.setup(s)
	}
	if err != nil {
		text, _ := os.ReadFile(s.log)
		os.RemoveAll(dir)
		return nil, fmt.Errorf("%w\n%s", err, text)
	}
	return s, nil
}

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}

// process is a running server program.
type process struct {
	cmd  *exec.Cmd
	done chan struct{}
}

// launch starts the server and waits until it is of use.
func (s *Server) launch() error {
	log, err := os.OpenFile(s.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer log.Close()
	cmd := exec.Command(s.argv[0], s.argv[1:]...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = s.dir, log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: s.cred, Setpgid: true}
	dieWithParent(cmd.SysProcAttr)
	s.run = &process{cmd: cmd, done: make(chan struct{})}
	started := make(chan error)
	go func() {
		// The kernel ends the child with the thread that made it.
		runtime.LockOSThread()
		defer close(s.run.done)
		err := cmd.Start()
		started <- err
		if err == nil {
			cmd.Wait()
		}
	}()
	if err := <-started; err != nil {
		return err
	}
	for deadline := time.Now().Add(startLimit); ; time.Sleep(50 * time.Millisecond) {
		err := s.ready()
		if err == nil {
			return nil
		}
		select {
		case <-s.run.done:
			return fmt.Errorf("the server ended: %v", cmd.ProcessState)
		default:
		}
		if time.Now().After(deadline) {
			s.Kill()
			return fmt.Errorf("the server is not ready: %w", err)
		}
	}
}

// Kill ends the server at once, as a crash does.
func (s *Server) Kill() {
	syscall.Kill(-s.run.cmd.Process.Pid, syscall.SIGKILL)
	<-s.run.done
}

// Restart starts the server again on its data after Kill.
func (s *Server) Restart(t testing.TB) {
	t.Helper()
	// PostgreSQL refuses to start while processes of the old one live; they find
	// out that it is dead when they next look.
	for deadline := time.Now().Add(startLimit); ; time.Sleep(100 * time.Millisecond) {
		os.Remove(filepath.Join(s.dir, "data", "postmaster.pid"))
		err := s.launch()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			text, _ := os.ReadFile(s.log)
			t.Fatalf("%v\n%s", err, text)
		}
	}
}

// reachable tells whether the server accepts connections.
func (s *Server) reachable() error {
	c, err := net.DialTimeout("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(s.Port)), time.Second)
	if err == nil {
		c.Close()
	}
	return err
}

func root() bool { return os.Geteuid() == 0 }

// find looks for a program in PATH and other places.
func find(name string, dirs ...string) (string, error) {
	if path, err := exec.LookPath(name); err == nil {
		return path, nil
	}
	for _, dir := range dirs {
		if path, err := exec.LookPath(filepath.Join(dir, name)); err == nil {
			return path, nil
		}
	}
	return "", errMissing
}

func (s *Server) command(argv ...string) error {
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Dir = s.dir
	cmd.Env = append(os.Environ(), "PGPASSWORD="+Password, "LC_ALL=C")
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: s.cred}
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", strings.Join(argv, " "), err, out)
	}
	return nil
}

func prepareMariaDB(s *Server) error {
	server, err := find("mariadbd", "/usr/sbin", "/usr/libexec")
	if err != nil {
		return err
	}
	install, err := find("mariadb-install-db")
	if err != nil {
		return err
	}
	s.ready = s.reachable
	data, setup := filepath.Join(s.dir, "data"), filepath.Join(s.dir, "setup.sql")
	s.Socket = filepath.Join(s.dir, "sock")
	account := "'" + User + "'@'%' IDENTIFIED BY '" + Password + "'"
	err = os.WriteFile(setup, []byte("CREATE DATABASE IF NOT EXISTS "+Name+";\nCREATE USER IF NOT EXISTS "+account+";\nGRANT ALL ON *.* TO '"+User+"'@'%' WITH GRANT OPTION;\n"), 0o644)
	if err != nil {
		return err
	}
	common := []string{"--no-defaults", "--datadir=" + data}
	if root() {
		common = append(common, "--user=root")
	}
	// Debian's script fails now and then on a busy machine ("Unknown table mysql.tmp_user_sys").
	for range 3 {
		if err = os.RemoveAll(data); err != nil {
			return err
		}
		if err = s.command(slices.Concat([]string{install}, common, []string{"--auth-root-authentication-method=normal", "--skip-test-db"})...); err == nil {
			break
		}
	}
	if err != nil {
		return err
	}
	s.argv = slices.Concat([]string{server}, common, []string{
		"--bind-address=127.0.0.1", "--port=" + strconv.Itoa(s.Port), "--socket=" + s.Socket, "--pid-file=" + filepath.Join(s.dir, "pid"),
		"--init-file=" + setup, "--skip-name-resolve", "--ssl-cert=" + s.CA, "--ssl-key=" + s.key(), "--innodb-buffer-pool-size=256M", "--innodb-log-file-size=128M",
	})
	return nil
}

func preparePostgres(s *Server) error {
	versions, _ := filepath.Glob("/usr/lib/postgresql/*/bin")
	slices.Reverse(versions)
	server, err := find("postgres", versions...)
	if err != nil {
		return err
	}
	if server, err = filepath.EvalSymlinks(server); err != nil { // its companions lie beside the real one
		return err
	}
	initdb := filepath.Join(filepath.Dir(server), "initdb")
	if root() { // it refuses to run as root
		u, err := user.Lookup("postgres")
		if err != nil {
			return errMissing
		}
		uid, _ := strconv.ParseUint(u.Uid, 10, 32)
		gid, _ := strconv.ParseUint(u.Gid, 10, 32)
		s.cred = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
		for _, name := range []string{s.dir, s.key()} {
			if err := os.Chown(name, int(uid), int(gid)); err != nil {
				return err
			}
		}
	}
	data, password := filepath.Join(s.dir, "data"), filepath.Join(s.dir, "password")
	s.Socket = s.dir
	if err := os.WriteFile(password, []byte(Password+"\n"), 0o644); err != nil {
		return err
	}
	if err := s.command(initdb, "-D", data, "-U", User, "--pwfile="+password, "-A", "scram-sha-256", "-E", "UTF8", "--no-locale"); err != nil {
		return err
	}
	s.ready = func() error { // connections are accepted before the server is done with its recovery
		return s.command(filepath.Join(filepath.Dir(server), "pg_isready"), "-q", "-h", "127.0.0.1", "-p", strconv.Itoa(s.Port))
	}
	s.argv = []string{server, "-D", data, "-p", strconv.Itoa(s.Port), "-k", s.dir, "-c", "listen_addresses=127.0.0.1",
		"-c", "ssl=on", "-c", "ssl_cert_file=" + s.CA, "-c", "ssl_key_file=" + s.key(), "-c", "shared_buffers=128MB"}
	return nil
}

func createDatabase(s *Server) error {
	createdb := filepath.Join(filepath.Dir(s.argv[0]), "createdb")
	return s.command(createdb, "-h", "127.0.0.1", "-p", strconv.Itoa(s.Port), "-U", User, Name)
}
