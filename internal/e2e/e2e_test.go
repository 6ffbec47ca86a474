// Package e2e runs the real commands, as processes, in scripts and pipelines.
package e2e

import (
	"os"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"flowtools/internal/cli"
	"flowtools/internal/testdb"
	"flowtools/internal/tool/flowcat"
	"flowtools/internal/tool/flowexpire"
	"flowtools/internal/tool/flowexport"
	"flowtools/internal/tool/flowfilter"
	"flowtools/internal/tool/flowgen"
	"flowtools/internal/tool/flowheader"
	"flowtools/internal/tool/flowmerge"
	"flowtools/internal/tool/flowprint"
	"flowtools/internal/tool/flowsplit"
)

func TestMain(m *testing.M) {
	commands := map[string]func(){}
	for _, spec := range []func() *cli.Spec{
		flowcat.Spec, flowexpire.Spec, flowexport.Spec, flowfilter.Spec, flowgen.Spec, flowheader.Spec, flowmerge.Spec, flowprint.Spec, flowsplit.Spec,
	} {
		commands[spec().Name] = func() { cli.Main(spec()) }
	}
	testscript.Main(runner{m}, commands)
}

// runner stops the database servers and removes what was built after the tests.
type runner struct{ m *testing.M }

func (r runner) Run() int {
	defer func() { os.RemoveAll(buildDir) }()
	return testdb.Main(r.m)
}

// Each script in testdata is a test of its own; see testscript's documentation
// for the language.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata",
		Setup: func(env *testscript.Env) error {
			env.Setenv("TZ", "UTC")
			env.Setenv("LC_ALL", "C")
			return nil
		},
		Condition: func(cond string) (bool, error) {
			if cond == "root" {
				return os.Getuid() == 0, nil
			}
			return false, nil
		},
	})
}
