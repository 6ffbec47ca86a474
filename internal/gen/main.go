// Command gen writes what follows from the Specs of the tools and from the tables of the library: manual pages, shell
// completion, and the references of options, fields and reports.
//
//	go run ./internal/gen         write docs
//	go run ./internal/gen -check  fail if docs are not what would be written
package main

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"flowtools/internal/cli"
)

func main() {
	root := flag.String("o", "docs", "`folder` to write to")
	check := flag.Bool("check", false, "write nothing, fail if a file is missing, different or one too many")
	flag.Parse()
	if err := run(*root, *check, tools()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// owned are the folders that hold generated files only, below the output folder.
var owned = []string{"man", "completion/bash", "completion/zsh", "completion/fish"}

// files are the generated texts by path below the output folder.
func files(specs []*cli.Spec) (map[string]string, error) {
	specs = slices.Clone(specs)
	slices.SortFunc(specs, func(a, b *cli.Spec) int { return strings.Compare(a.Name, b.Name) })
	list := make(map[string]string)
	tables := new(strings.Builder)
	tables.WriteString("# Options" + note + "\n| tool | |\n|---|---|\n")
	for _, s := range specs {
		fmt.Fprintf(tables, "| [%s](#%s) | %s |\n", s.Name, s.Name, s.Summary)
	}
	for i, s := range specs {
		if err := s.Check(); err != nil {
			return nil, err
		}
		if i > 0 && specs[i-1].Name == s.Name {
			return nil, fmt.Errorf("two tools are called %s", s.Name)
		}
		list["man/"+s.Name+".1"] = s.Man()
		for shell, name := range map[string]string{"bash": s.Name, "zsh": "_" + s.Name, "fish": s.Name + ".fish"} {
			script, ok := s.Completion(shell)
			if !ok {
				return nil, fmt.Errorf("%s: no completion for %s", s.Name, shell)
			}
			list["completion/"+shell+"/"+name] = script
		}
		tables.WriteString("\n" + s.Markdown())
	}
	list["options.md"] = tables.String()
	for name, page := range map[string]func() (string, error){"fields.md": fieldsPage, "reports.md": reportsPage, "flowdumper.md": dumperPage} {
		text, err := page()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		list[name] = text
	}
	return list, nil
}

// run brings root up to date with the Specs or, with check, reports where it is not.
func run(root string, check bool, specs []*cli.Spec) error {
	list, err := files(specs)
	if err != nil {
		return err
	}
	stale, err := strays(root, list)
	if err != nil {
		return err
	}
	if check {
		return drift(root, list, stale)
	}
	for _, path := range stale {
		if err := os.Remove(path); err != nil {
			return err
		}
	}
	return write(root, list)
}

// strays are the files in the owned folders that nothing generates any more.
func strays(root string, list map[string]string) ([]string, error) {
	var found []string
	for _, dir := range owned {
		entries, err := os.ReadDir(filepath.Join(root, dir))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		for _, e := range entries {
			if _, ok := list[dir+"/"+e.Name()]; !ok {
				found = append(found, filepath.Join(root, dir, e.Name()))
			}
		}
	}
	return found, nil
}

// drift is nil if root holds exactly what would be written.
func drift(root string, list map[string]string, stale []string) error {
	var errs []error
	for name, text := range list {
		path := filepath.Join(root, name)
		old, err := os.ReadFile(path)
		switch {
		case err != nil:
			errs = append(errs, err)
		case string(old) != text:
			errs = append(errs, fmt.Errorf("%s: out of date", path))
		}
	}
	for _, path := range stale {
		errs = append(errs, fmt.Errorf("%s: belongs to no tool", path))
	}
	if len(errs) == 0 {
		return nil
	}
	slices.SortFunc(errs, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	return errors.Join(append(errs, errors.New("to write them: go run ./internal/gen"))...)
}

// write writes the files that differ.
func write(root string, list map[string]string) error {
	for name, text := range list {
		path := filepath.Join(root, name)
		if old, err := os.ReadFile(path); err == nil && bytes.Equal(old, []byte(text)) {
			continue
		}
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			return err
		}
	}
	return nil
}
