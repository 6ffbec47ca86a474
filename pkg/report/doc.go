// Package report is the aggregation engine behind flow-report and flow-stat:
// one table of report types, one container for keyed sums, one order of lines.
//
// A [Type] is a row of [Types]: what the entries are keyed by and how they are
// kept. [New] compiles it for a record layout; [Report.Add] takes batches;
// afterwards [Report.Totals], [Report.Sort] and [Report.Rows] give the result.
// The package prints nothing: text, columns and percentages are the callers'.
//
// A new report type is a line of typeLines, a new column a constant and a row of
// columnTable: report files, headings, sorting, sheets and the field check
// follow.
//
// Sums are unsigned 64-bit and wrap; rates are float64 and add up in stream
// order, so a report is a function of its input, bit for bit.
package report
