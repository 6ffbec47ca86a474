package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
)

// built puts the commands of this tree in front of PATH: those in $FT_BIN, as
// make test has built them, or a fresh build. The race detector, which -short is
// for, would see nothing of them.
func built(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("the commands are processes of their own")
	}
	dir, err := buildOnce()
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+string(os.PathListSeparator)+os.Getenv("PATH"))
}

var buildDir string // removed by TestMain

var buildOnce = sync.OnceValues(func() (string, error) {
	if dir := os.Getenv("FT_BIN"); dir != "" {
		return dir, nil
	}
	dir, err := os.MkdirTemp("", "flowtools")
	if err != nil {
		return "", err
	}
	buildDir = dir
	cmd := exec.Command("go", "build", "-tags=urfave_cli_no_docs", "-o", dir+string(filepath.Separator), "flowtools/cmd/...")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	cmd.Stderr = os.Stderr
	return dir, cmd.Run()
})
