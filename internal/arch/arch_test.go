package arch

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const module = "flowtools"

// source is one file of the module that is not a test.
type source struct {
	file    string // relative to the module
	dir     string // of its package, relative to the module
	ast     *ast.File
	imports map[string]string // local name -> path
}

// tree is the module.
type tree struct {
	fset     *token.FileSet
	files    []*source
	packages map[string]map[string]bool // dir -> paths imported directly
}

// newTree parses sources given by name.
func newTree(texts map[string][]byte) (*tree, error) {
	t := &tree{fset: token.NewFileSet(), packages: make(map[string]map[string]bool)}
	for name, text := range texts {
		f, err := parser.ParseFile(t.fset, name, text, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return nil, err
		}
		s := &source{file: name, dir: path.Dir(name), ast: f, imports: make(map[string]string)}
		if t.packages[s.dir] == nil {
			t.packages[s.dir] = make(map[string]bool)
		}
		for _, spec := range f.Imports {
			p, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return nil, err
			}
			local := path.Base(p)
			if spec.Name != nil {
				local = spec.Name.Name
			}
			s.imports[local] = p
			t.packages[s.dir][p] = true
		}
		t.files = append(t.files, s)
	}
	slices.SortFunc(t.files, func(a, b *source) int { return strings.Compare(a.file, b.file) })
	return t, nil
}

// load reads the module this test belongs to.
func load(t *testing.T) *tree {
	t.Helper()
	texts := make(map[string][]byte)
	root := filepath.Join("..", "..")
	for _, top := range []string{"cmd", "internal", "pkg"} {
		err := filepath.WalkDir(filepath.Join(root, top), func(name string, d fs.DirEntry, err error) error {
			switch {
			case err != nil:
				return err
			case d.IsDir() && d.Name() == "testdata":
				return fs.SkipDir
			case d.IsDir() || !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go"):
				return nil
			}
			rel, err := filepath.Rel(root, name)
			if err != nil {
				return err
			}
			texts[filepath.ToSlash(rel)], err = os.ReadFile(name)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	tr, err := newTree(texts)
	if err != nil {
		t.Fatal(err)
	}
	return tr
}

// reach is every package a package links, by way of packages of this module.
func (t *tree) reach(dir string) map[string]bool {
	all := make(map[string]bool)
	var visit func(string)
	visit = func(dir string) {
		for p := range t.packages[dir] {
			if all[p] {
				continue
			}
			all[p] = true
			if rel, ok := strings.CutPrefix(p, module+"/"); ok {
				visit(rel)
			}
		}
	}
	visit(dir)
	return all
}

// dirs are the folders of packages, sorted.
func (t *tree) dirs() []string {
	var list []string
	for dir := range t.packages {
		list = append(list, dir)
	}
	slices.Sort(list)
	return list
}

// within reports whether name is one of the folders or below one.
func within(name string, folders ...string) bool {
	return slices.ContainsFunc(folders, func(f string) bool { return name == f || strings.HasPrefix(name, f+"/") })
}

// isGenerator reports whether a package is a go run or go generate program of ours.
func isGenerator(dir string) bool { return path.Base(dir) == "gen" }

// isTestSupport reports whether a package is there for tests: they import it, commands do not.
func isTestSupport(dir string) bool {
	base := path.Base(dir)
	return strings.HasPrefix(base, "test") || strings.HasSuffix(base, "test") || strings.Contains(dir+"/", "internal/rig/")
}

// wall says what packages below some folders must not import, directly or (deep) through other packages of the module.
type wall struct {
	name    string
	from    []string // folders
	except  []string // folders below from that may
	imports []string // paths, those below them included
	only    []string // with only, anything of this module but these (and from itself) is forbidden instead of imports
	deep    bool
}

var (
	urfave  = "github.com/urfave/cli"
	drivers = []string{
		"github.com/go-sql-driver/mysql", "github.com/jackc/pgx", "modernc.org/sqlite",
		"github.com/parquet-go/parquet-go", "github.com/twmb/franz-go",
	}
	leaves = []string{"internal/config", "internal/sym", "internal/clib", "internal/cdate", "internal/lpm"}
)

var walls = []wall{
	{name: "the record model knows nothing else of the module", from: []string{"pkg/flow"}, only: []string{}},
	{name: "files and packets meet in pkg/flow only", from: []string{"pkg/ftfile", "pkg/netflow"}, only: []string{"pkg/flow"}},
	{name: "files do not know packets", from: []string{"pkg/ftfile"}, imports: []string{module + "/pkg/netflow"}},
	{name: "packets do not know files", from: []string{"pkg/netflow"}, imports: []string{module + "/pkg/ftfile"}},
	{name: "the library has no command line", from: []string{"pkg"}, imports: []string{urfave, module + "/internal/cli", module + "/internal/tool"}, deep: true},
	{name: "the library neither logs nor parses flags", from: []string{"pkg"}, imports: []string{"log", "flag"}},
	{name: "leaves depend on leaves", from: leaves, only: append([]string{"pkg/flow"}, leaves...)},
	{name: "one package talks to urfave/cli", from: []string{"cmd", "internal", "pkg"}, except: []string{"internal/cli"}, imports: []string{urfave}},
	{name: "drivers live below internal/export", from: []string{"cmd", "internal", "pkg"}, except: []string{"internal/export", "internal/importer"}, imports: drivers},
	{name: "flags are parsed by internal/cli", from: []string{"cmd", "internal", "pkg"}, except: []string{"internal/cli", "internal/gen"}, imports: []string{"flag"}},
	{name: "no cgo", from: []string{"cmd", "internal", "pkg"}, imports: []string{"C"}},
	{name: "no plugins, no unsafe record casts", from: []string{"pkg", "internal/tool"}, imports: []string{"plugin", "unsafe"}},
}

// breaches are the imports that break a wall.
func (w *wall) breaches(t *tree) []string {
	var list []string
	for _, dir := range t.dirs() {
		if !within(dir, w.from...) || within(dir, w.except...) {
			continue
		}
		reached := t.packages[dir]
		if w.deep {
			reached = t.reach(dir)
		}
		for p := range reached {
			bad := within(p, w.imports...)
			if w.only != nil {
				rel, ours := strings.CutPrefix(p, module+"/")
				bad = ours && !within(rel, w.only...) && !sameFolder(dir, rel, w.from)
			}
			if bad {
				list = append(list, dir+" imports "+p)
			}
		}
	}
	slices.Sort(list)
	return list
}

// sameFolder reports whether two packages are below the same one of folders.
func sameFolder(a, b string, folders []string) bool {
	return slices.ContainsFunc(folders, func(f string) bool { return within(a, f) && within(b, f) })
}

func TestImports(t *testing.T) {
	tr := load(t)
	for _, w := range walls {
		for _, b := range w.breaches(tr) {
			t.Errorf("%s: %s", w.name, b)
		}
	}
}

func TestRecordModelIsStdlib(t *testing.T) {
	for p := range load(t).packages["pkg/flow"] {
		if strings.Contains(strings.SplitN(p, "/", 2)[0], ".") {
			t.Errorf("pkg/flow imports %s", p)
		}
	}
}

func TestToolsAreIndependent(t *testing.T) {
	tr := load(t)
	for _, dir := range tr.dirs() {
		own, ok := toolOf(dir)
		if !ok {
			continue
		}
		for p := range tr.packages[dir] {
			if other, ok := toolOf(strings.TrimPrefix(p, module+"/")); ok && other != own {
				t.Errorf("tool %s imports tool %s", own, other)
			}
		}
	}
}

// toolOf is the tool a package of internal/tool belongs to.
func toolOf(dir string) (string, bool) {
	rest, ok := strings.CutPrefix(dir, "internal/tool/")
	name, _, _ := strings.Cut(rest, "/")
	return name, ok
}

// linking are the commands that may link something heavy.
var linking = []struct {
	what     string
	packages []string
	commands []string
}{
	{"database and column store drivers", drivers, []string{"flow-export", "flow-import"}},
	{"a web server", []string{"net/http", "github.com/prometheus/client_golang"}, []string{"flow-capture", "flow-fanout", "flow-receive", "fprobe"}},
	{"tables for people", []string{"github.com/olekukonko/tablewriter"}, []string{"flow-export", "flow-report", "flow-rptfmt", "flow-header", "flow-stat"}},
}

func TestHeavyThingsAreLinkedWhereNeeded(t *testing.T) {
	tr := load(t)
	for _, dir := range tr.dirs() {
		command, ok := strings.CutPrefix(dir, "cmd/")
		if !ok {
			continue
		}
		for p := range tr.reach(dir) {
			if isTestSupport(p) {
				t.Errorf("%s links %s, which is for tests", command, p)
			}
		}
		for _, l := range linking {
			if slices.Contains(l.commands, command) {
				continue
			}
			for p := range tr.reach(dir) {
				if within(p, l.packages...) {
					t.Errorf("%s links %s: %s", command, l.what, p)
				}
			}
		}
	}
}

// worldly are the names of the standard library that reach round Env. The empty name stands for all of a package.
var worldly = map[string][]string{
	"os":       {"Exit", "Args", "Stdin", "Stdout", "Stderr", "Getenv", "LookupEnv", "Environ", "ExpandEnv", "Setenv", "Chdir"},
	"time":     {"Now", "Since", "Until"},
	"fmt":      {"Print", "Printf", "Println", "Scan", "Scanf", "Scanln"},
	"log":      {""},
	"log/slog": {""},
}

// worldlyExcept are the places that may, beside internal/cli, cmd and generators, with the names they may use.
var worldlyExcept = map[string][]string{
	// Detaching is starting oneself again, with the environment as it is; a chroot without a chdir is none.
	"internal/daemon": {"os.Environ", "os.Chdir"},
	// It changes to the work directory, which every later name and command is relative to.
	"internal/tool/flowcapture": {"os.Chdir"},
}

// reaches are the uses of worldly names in a file.
func (t *tree) reaches(s *source, except []string) []string {
	var list []string
	ast.Inspect(s.ast, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.SelectorExpr:
			x, ok := n.X.(*ast.Ident)
			if !ok {
				break
			}
			pkg, ok := s.imports[x.Name]
			if !ok {
				break
			}
			name := pkg + "." + n.Sel.Name
			for _, w := range worldly[pkg] {
				if (w == "" || w == n.Sel.Name) && !slices.Contains(except, name) {
					list = append(list, fmt.Sprintf("%s: %s", t.fset.Position(n.Pos()), name))
				}
			}
		case *ast.CallExpr:
			if f, ok := n.Fun.(*ast.Ident); ok && (f.Name == "print" || f.Name == "println") {
				list = append(list, fmt.Sprintf("%s: %s", t.fset.Position(n.Pos()), f.Name))
			}
		}
		return true
	})
	return list
}

func TestWorldComesThroughEnv(t *testing.T) {
	tr := load(t)
	for _, s := range tr.files {
		if within(s.dir, "internal/cli", "cmd") || isGenerator(s.dir) || isTestSupport(s.dir) {
			continue
		}
		var except []string
		for dir, names := range worldlyExcept {
			if within(s.file, dir) {
				except = append(except, names...)
			}
		}
		for _, r := range tr.reaches(s, except) {
			t.Error(r)
		}
	}
}

// startup are the things that happen before main: there is to be none of it.
func (t *tree) startup(s *source) []string {
	var list []string
	at := func(n ast.Node, what string) {
		list = append(list, fmt.Sprintf("%s: %s", t.fset.Position(n.Pos()), what))
	}
	for _, spec := range s.ast.Imports {
		// A database driver has no other way in.
		if spec.Name != nil && spec.Name.Name == "_" && spec.Path.Value != `"embed"` && !within(s.dir, "internal/export", "internal/importer") {
			at(spec, "blank import of "+spec.Path.Value)
		}
		if spec.Name != nil && spec.Name.Name == "." {
			at(spec, "dot import of "+spec.Path.Value)
		}
	}
	for _, d := range s.ast.Decls {
		switch d := d.(type) {
		case *ast.FuncDecl:
			if d.Recv == nil && d.Name.Name == "init" {
				at(d, "func init")
			}
		case *ast.GenDecl:
			if d.Tok != token.VAR {
				continue
			}
			ast.Inspect(d, func(n ast.Node) bool {
				if _, ok := n.(*ast.FuncLit); ok {
					return false // runs when called
				}
				call, ok := n.(*ast.CallExpr)
				if !ok {
					return true
				}
				if sel, ok := call.Fun.(*ast.SelectorExpr); ok {
					if x, ok := sel.X.(*ast.Ident); ok && s.imports[x.Name] == "regexp" {
						at(call, "regular expression compiled before main")
					}
				}
				return true
			})
		}
	}
	return list
}

func TestNothingRunsBeforeMain(t *testing.T) {
	tr := load(t)
	for _, s := range tr.files {
		for _, what := range tr.startup(s) {
			t.Error(what)
		}
	}
}

// skeleton is what is wrong with a command's main.go, "" if nothing is.
func skeleton(s *source) string {
	name := path.Base(s.dir)
	tool := strings.ReplaceAll(name, "-", "")
	want := []string{module + "/internal/cli", module + "/internal/tool/" + tool}
	var got []string
	for _, p := range s.imports {
		got = append(got, p)
	}
	slices.Sort(got)
	if !slices.Equal(got, want) {
		return fmt.Sprintf("imports %q, not %q", got, want)
	}
	if s.ast.Name.Name != "main" {
		return "is package " + s.ast.Name.Name
	}
	if s.ast.Doc == nil || !strings.HasPrefix(s.ast.Doc.Text(), "Command "+name+" ") && !strings.HasPrefix(s.ast.Doc.Text(), "Command "+name+":") {
		return "has no comment `Command " + name + " ...`"
	}
	var funcs []*ast.FuncDecl
	for _, d := range s.ast.Decls {
		switch d := d.(type) {
		case *ast.FuncDecl:
			funcs = append(funcs, d)
		case *ast.GenDecl:
			if d.Tok != token.IMPORT {
				return "declares more than main"
			}
		}
	}
	if len(funcs) != 1 || funcs[0].Name.Name != "main" || len(funcs[0].Body.List) != 1 {
		return "is not `func main() { cli.Main(" + tool + ".Spec()) }`"
	}
	stmt, ok := funcs[0].Body.List[0].(*ast.ExprStmt)
	if !ok || call(stmt.X) != "cli.Main("+tool+".Spec())" {
		return "does not call cli.Main(" + tool + ".Spec())"
	}
	return ""
}

// call spells a call of a package's function whose arguments are such calls.
func call(e ast.Expr) string {
	c, ok := e.(*ast.CallExpr)
	if !ok {
		return "?"
	}
	sel, ok := c.Fun.(*ast.SelectorExpr)
	if !ok {
		return "?"
	}
	x, ok := sel.X.(*ast.Ident)
	if !ok {
		return "?"
	}
	var args []string
	for _, a := range c.Args {
		args = append(args, call(a))
	}
	return x.Name + "." + sel.Sel.Name + "(" + strings.Join(args, ", ") + ")"
}

func TestCommandsAreSkeletons(t *testing.T) {
	tr := load(t)
	seen := make(map[string]bool)
	for _, s := range tr.files {
		if !within(s.dir, "cmd") {
			continue
		}
		if path.Base(s.file) != "main.go" || strings.Count(s.file, "/") != 2 {
			t.Errorf("%s: a command is cmd/NAME/main.go and no more", s.file)
			continue
		}
		seen[strings.ReplaceAll(path.Base(s.dir), "-", "")] = true
		if wrong := skeleton(s); wrong != "" {
			t.Errorf("%s: %s", s.file, wrong)
		}
	}
	for _, dir := range tr.dirs() {
		if tool, ok := toolOf(dir); ok && !seen[tool] {
			t.Errorf("internal/tool/%s has no command", tool)
		}
	}
}

// TestToolsKeepNoState: a package-level variable of a tool may hold a table, but nothing that a run fills in.
func TestToolsKeepNoState(t *testing.T) {
	tr := load(t)
	for _, s := range tr.files {
		if _, ok := toolOf(s.dir); !ok {
			continue
		}
		for _, d := range s.ast.Decls {
			gen, ok := d.(*ast.GenDecl)
			if !ok || gen.Tok != token.VAR {
				continue
			}
			for _, spec := range gen.Specs {
				v := spec.(*ast.ValueSpec)
				if len(v.Values) == 0 {
					t.Errorf("%s: package variable %s has no value", tr.fset.Position(v.Pos()), v.Names[0].Name)
				}
			}
		}
	}
}

// vague are package names that say nothing.
var vague = []string{"util", "utils", "common", "helper", "helpers", "misc", "base", "shared", "types", "lib"}

func TestNames(t *testing.T) {
	tr := load(t)
	documented := make(map[string]bool)
	for _, s := range tr.files {
		if slices.Contains(vague, s.ast.Name.Name) {
			t.Errorf("%s: package %s: name it by what it does", s.file, s.ast.Name.Name)
		}
		if s.ast.Name.Name != "main" && s.ast.Name.Name != path.Base(s.dir) {
			t.Errorf("%s: package %s in folder %s", s.file, s.ast.Name.Name, s.dir)
		}
		if s.ast.Doc != nil {
			documented[s.dir] = true
		}
	}
	for _, dir := range tr.dirs() {
		if !documented[dir] {
			t.Errorf("%s: no package comment", dir)
		}
	}
}

// undocumented are the exported names of a file without a comment.
func (t *tree) undocumented(s *source) []string {
	var list []string
	report := func(n *ast.Ident) {
		list = append(list, fmt.Sprintf("%s: %s has no comment", t.fset.Position(n.Pos()), n.Name))
	}
	for _, d := range s.ast.Decls {
		switch d := d.(type) {
		case *ast.FuncDecl:
			if d.Doc == nil && d.Name.IsExported() && (d.Recv == nil || exportedReceiver(d)) {
				report(d.Name)
			}
		case *ast.GenDecl:
			for _, spec := range d.Specs {
				switch spec := spec.(type) {
				case *ast.TypeSpec:
					if spec.Name.IsExported() && d.Doc == nil && spec.Doc == nil {
						report(spec.Name)
					}
				case *ast.ValueSpec:
					if spec.Names[0].IsExported() && d.Doc == nil && spec.Doc == nil && spec.Comment == nil {
						report(spec.Names[0])
					}
				}
			}
		}
	}
	return list
}

func exportedReceiver(d *ast.FuncDecl) bool {
	e := d.Recv.List[0].Type
	if star, ok := e.(*ast.StarExpr); ok {
		e = star.X
	}
	if index, ok := e.(*ast.IndexExpr); ok {
		e = index.X
	}
	name, ok := e.(*ast.Ident)
	return ok && name.IsExported()
}

func TestLibraryIsDocumented(t *testing.T) {
	tr := load(t)
	for _, s := range tr.files {
		if !within(s.dir, "pkg") {
			continue
		}
		for _, what := range tr.undocumented(s) {
			t.Error(what)
		}
	}
}

// TestRulesBite runs the rules over code that breaks them.
func TestRulesBite(t *testing.T) {
	texts := map[string][]byte{
		"pkg/flow/a.go":    []byte(`package flow; import _ "flowtools/pkg/ftfile"`),
		"pkg/ftfile/a.go":  []byte(`package ftfile; import ("flowtools/pkg/flow"; "flowtools/pkg/netflow/v9"; "flowtools/internal/export/db")`),
		"pkg/netflow/a.go": []byte(`package netflow; import "flowtools/pkg/netflow/v9"`),
		"pkg/filter/a.go":  []byte(`package filter; import ("log"; "flowtools/internal/config")`),
		"internal/config/a.go": []byte(`package config
import (. "time"; "regexp"; "flowtools/internal/cli")
var x = regexp.MustCompile("x")
var y = func() { regexp.MustCompile("x") }
func init() {}
var z = cli.X`),
		"internal/export/db/a.go": []byte(`package db; import _ "github.com/jackc/pgx/v5"`),
		"internal/cli/a.go":       []byte(`package cli; import _ "github.com/urfave/cli/v2"`),
		"internal/tool/flowx/a.go": []byte(`package flowx
import (stdos "os"; "fmt"; "time"; "flowtools/internal/export/db")
func F() { stdos.Exit(1); fmt.Println(); fmt.Fprintln(nil); println(); _ = time.Now; var os struct{ Args int }; _ = os.Args }`),
		"pkg/doc/a.go": []byte(`package doc
type T struct{}
func (T) M() {}
func (t) M() {}
// C is fine.
const C, D = 1, 2
const (
	E = 1 // fine
	F = 2
)
func private() {}`),
		"cmd/flow-x/main.go": []byte("// Command flow-x does x.\npackage main\nimport (\"flowtools/internal/cli\"; \"flowtools/internal/tool/flowx\")\nfunc main() { cli.Main(flowx.Spec()) }"),
		"cmd/flow-y/main.go": []byte("// Command flow-y does y.\npackage main\nimport (\"flowtools/internal/cli\"; \"flowtools/internal/tool/flowy\")\nfunc main() { cli.Main(flowy.Spec(1)) }"),
		"cmd/flow-z/main.go": []byte("package main\nimport (\"flowtools/internal/cli\"; \"flowtools/internal/tool/flowz\")\nfunc main() { cli.Main(flowz.Spec()) }"),
	}
	tr, err := newTree(texts)
	if err != nil {
		t.Fatal(err)
	}
	var breaches []string
	for _, w := range walls {
		breaches = append(breaches, w.breaches(tr)...)
	}
	slices.Sort(breaches)
	if diff := cmp.Diff([]string{
		"internal/config imports flowtools/internal/cli",
		"pkg/filter imports flowtools/internal/cli",
		"pkg/filter imports github.com/urfave/cli/v2",
		"pkg/filter imports log",
		"pkg/flow imports flowtools/pkg/ftfile",
		"pkg/ftfile imports flowtools/internal/export/db",
		"pkg/ftfile imports flowtools/pkg/netflow/v9",
		"pkg/ftfile imports flowtools/pkg/netflow/v9",
	}, breaches); diff != "" {
		t.Errorf("imports (-want +got):\n%s", diff)
	}
	if !tr.reach("cmd/flow-x")["github.com/jackc/pgx/v5"] {
		t.Error("reach does not follow packages of the module")
	}

	found := make(map[string][]string)
	for _, s := range tr.files {
		list := append(tr.reaches(s, nil), tr.startup(s)...)
		list = append(list, tr.undocumented(s)...)
		if within(s.dir, "cmd") {
			list = append(list, skeleton(s))
		}
		for _, l := range list {
			_, what, ok := strings.Cut(l, ": ")
			if !ok {
				what = l
			}
			found[s.file] = append(found[s.file], what)
		}
	}
	want := map[string][]string{
		"pkg/flow/a.go":            {`blank import of "flowtools/pkg/ftfile"`},
		"internal/cli/a.go":        {`blank import of "github.com/urfave/cli/v2"`},
		"internal/config/a.go":     {`dot import of "time"`, "regular expression compiled before main", "func init"},
		"internal/tool/flowx/a.go": {"os.Exit", "fmt.Println", "println", "time.Now", "F has no comment"},
		"pkg/doc/a.go":             {"T has no comment", "M has no comment", "F has no comment"},
		"cmd/flow-x/main.go":       {""},
		"cmd/flow-y/main.go":       {"does not call cli.Main(flowy.Spec())"},
		"cmd/flow-z/main.go":       {"has no comment `Command flow-z ...`"},
	}
	if diff := cmp.Diff(want, found); diff != "" {
		t.Errorf("rules (-want +got):\n%s", diff)
	}
}
