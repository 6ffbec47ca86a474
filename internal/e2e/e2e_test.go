// Package e2e runs the real commands, as processes, in scripts and pipelines.
package e2e

import (
	"os"
	"os/exec"
	"strconv"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"flowtools/internal/capture/capturetest"
	"flowtools/internal/cli"
	"flowtools/internal/testdb"
	"flowtools/internal/tool/flowcapture"
	"flowtools/internal/tool/flowcat"
	"flowtools/internal/tool/flowdscan"
	"flowtools/internal/tool/flowdumper"
	"flowtools/internal/tool/flowexpire"
	"flowtools/internal/tool/flowexport"
	"flowtools/internal/tool/flowfanout"
	"flowtools/internal/tool/flowfilter"
	"flowtools/internal/tool/flowgen"
	"flowtools/internal/tool/flowheader"
	"flowtools/internal/tool/flowimport"
	"flowtools/internal/tool/flowmerge"
	"flowtools/internal/tool/flownfilter"
	"flowtools/internal/tool/flowprint"
	"flowtools/internal/tool/flowreceive"
	"flowtools/internal/tool/flowreport"
	"flowtools/internal/tool/flowsend"
	"flowtools/internal/tool/flowsplit"
	"flowtools/internal/tool/flowstat"
)

func TestMain(m *testing.M) {
	commands := map[string]func(){}
	for _, spec := range []func() *cli.Spec{
		flowcapture.Spec, flowcat.Spec, flowdscan.Spec, flowdumper.Spec, flowexpire.Spec, flowexport.Spec, flowfanout.Spec,
		flowfilter.Spec, flowgen.Spec, flowheader.Spec, flowimport.Spec, flowmerge.Spec, flownfilter.Spec, flowprint.Spec,
		flowreceive.Spec, flowreport.Spec, flowsend.Spec, flowsplit.Spec, flowstat.Spec,
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
			for _, name := range []string{"P1", "P2", "P3"} { // UDP ports
				env.Setenv(name, strconv.Itoa(capturetest.FreePort(t)))
			}
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			// udp PORT...: wait until something listens on the ports
			"udp": func(_ *testscript.TestScript, _ bool, ports []string) {
				for _, s := range ports {
					n, _ := strconv.Atoi(s)
					capturetest.AwaitUDP(t, n)
				}
			},
		},
		Condition: func(cond string) (bool, error) {
			switch cond {
			case "root":
				return os.Getuid() == 0, nil
			case "netns": // network namespaces with queues in them
				return exec.Command("unshare", "-n", "tc", "qdisc", "add", "dev", "lo", "root", "tbf", "rate", "8mbit", "burst", "4kb", "limit", "1mb").Run() == nil, nil
			}
			return false, nil
		},
	})
}
