package policy

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/playgate/playgate/playback"
)

const (
	diffRows    = 15      // of one table
	exampleText = 300     // characters of an example's inputs, and of a value
	maxReport   = 1 << 20 // bytes of a report; examples beyond are counted
)

// asked says how much was asked again.
func (r *DiffReport) asked() string {
	if r.OfTests {
		return playback.Count(r.Decisions, "test", "tests")
	}
	return playback.Count(r.Decisions, "decision", "decisions")
}

// maxExampleSize is what an example takes at most: a line for each way in which
// grants differ, and two.
const maxExampleSize = 64 << 10

// Print writes the report as text for people.
func (r *DiffReport) Print(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s → %s: %s", r.Old, r.New, r.asked())
	if r.Decisions != r.Records {
		fmt.Fprintf(&b, " in %s", playback.Count(r.Records, "record", "records"))
	}
	if r.Skipped > 0 {
		fmt.Fprintf(&b, ", %d without inputs left out", r.Skipped)
	}
	if r.Bad > 0 {
		fmt.Fprintf(&b, ", %s left out", playback.Count(r.Bad, "line that is no record", "lines that are no records"))
	}
	fmt.Fprintf(&b, "\n  gained   %d\n  lost     %d\n  changed  %d\n", r.Gained, r.Lost, r.Changed)
	if r.Moved > 0 {
		fmt.Fprintf(&b, "  the same, by another rule  %d\n", r.Moved)
	}
	if r.Unknown > 0 {
		fmt.Fprintf(&b, "  unknown  %d\n", r.Unknown)
	}
	if r.Otherwise > 0 {
		fmt.Fprintf(&b, "note: %s answered otherwise when recorded than the old document answers now\n", playback.Count(r.Otherwise, "was", "were"))
	}
	for _, note := range r.Notes {
		fmt.Fprintf(&b, "note: %s\n", note)
	}
	table := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	by, rows := "", 0
	for _, g := range r.Groups {
		if g.By != by {
			by, rows = g.By, 0
			fmt.Fprintf(table, "by %s\tgained\tlost\n", by)
		}
		if rows++; rows == diffRows+1 {
			fmt.Fprintf(table, "  …\t\t\n")
		}
		if rows <= diffRows {
			fmt.Fprintf(table, "  %s\t%d\t%d\n", shortened(g.Value, exampleText), g.Gained, g.Lost)
		}
	}
	if len(r.Changes) > 0 {
		fmt.Fprintf(table, "what changed\tdecisions\n")
	}
	for i, c := range r.Changes {
		if i == diffRows {
			fmt.Fprintf(table, "  …\t\n")
			break
		}
		fmt.Fprintf(table, "  %s\t%d\n", shortened(c.What, exampleText), c.Decisions)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	r.writeExamples(&b)
	_, err := io.WriteString(w, b.String())
	return err
}

func (r *DiffReport) writeExamples(b *strings.Builder) {
	for i, e := range r.Examples {
		if b.Len() > maxReport-maxExampleSize {
			fmt.Fprintf(b, "… and %s\n", playback.Count(len(r.Examples)-i, "example more", "examples more"))
			break
		}
		fmt.Fprintf(b, "%s, %s: %s → %s\n", e.Effect, e.Where, e.Old, e.New)
		for _, c := range e.Changes {
			fmt.Fprintf(b, "  %s\n", shortened(c.String(), exampleText))
		}
		fmt.Fprintf(b, "  %s\n", shortened(string(e.Inputs), exampleText))
	}
}

func shortened(text string, most int) string {
	if runes := []rune(text); len(runes) > most {
		return string(runes[:most]) + "…"
	}
	return text
}
