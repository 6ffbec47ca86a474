// Command sqlquery asks an SQLite database one question and prints the answer
// as a table; scripts/demo shows the top talkers with it.
package main

import (
	"context"
	"database/sql"
	"errors"
	"slices"

	"github.com/olekukonko/tablewriter"
	"github.com/olekukonko/tablewriter/tw"
	_ "modernc.org/sqlite" // the driver

	"flowtools/internal/cli"
)

func main() {
	cli.Main(&cli.Spec{
		Name: "sqlquery", Summary: "ask an SQLite database", Operands: "database query", MaxOperands: 2, UsageExit: 1, Run: run,
	})
}

func run(ctx context.Context, env *cli.Env) error {
	if len(env.Args) != 2 {
		return errors.New("expecting a database and a query")
	}
	db, err := sql.Open("sqlite", "file:"+env.Path(env.Args[0])+"?mode=ro")
	if err != nil {
		return err
	}
	defer db.Close()
	rows, err := db.QueryContext(ctx, env.Args[1])
	if err != nil {
		return err
	}
	defer rows.Close()
	names, err := rows.Columns()
	if err != nil {
		return err
	}
	table := tablewriter.NewTable(env.Stdout, tablewriter.WithHeaderAutoFormat(tw.Off))
	table.Header(names)
	values, ptrs := make([]string, len(names)), make([]any, len(names))
	for i := range values {
		ptrs[i] = &values[i]
	}
	for rows.Next() {
		if err := rows.Scan(ptrs...); err != nil {
			return err
		}
		if err := table.Append(slices.Clone(values)); err != nil {
			return err
		}
	}
	if err := rows.Err(); err != nil {
		return err
	}
	return table.Render()
}
