package testdb

import (
	"os"
	"testing"
)

func TestMain(m *testing.M) { os.Exit(Main(m)) }

func TestServers(t *testing.T) {
	for name, get := range map[string]func(testing.TB) *Server{"mariadb": MariaDB, "postgres": Postgres} {
		t.Run(name, func(t *testing.T) {
			s := get(t)
			if again := get(t); again != s {
				t.Error("a second server was started")
			}
			s.Kill()
			if s.reachable() == nil {
				t.Error("killed and still there")
			}
			s.Restart(t)
			if err := s.reachable(); err != nil {
				t.Error(err)
			}
		})
	}
}
