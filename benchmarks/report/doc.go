// Package report holds what a run of the suite found, and writes it: as JSON,
// as a Markdown table, as an HTML page with SVG plots, and in the format of Go
// benchmarks for benchstat. The plots are written by hand, so that the page
// needs nothing but itself.
//
// It measures nothing, except that it reads what machine and commit it is on.
// Its functions may be used from several goroutines on different runs.
//
// Names in a report come from this repository; nothing of an attacker's is in it.
package report
