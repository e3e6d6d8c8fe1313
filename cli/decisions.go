package cli

import (
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/playgate/playgate/app"
	"github.com/playgate/playgate/audit"
	"github.com/playgate/playgate/playback"
)

// decisionsCommands read the decision log.
type decisionsCommands struct {
	Tail decisionsTailCommand `cmd:"" help:"Show decisions as they are written."`
	Grep decisionsGrepCommand `cmd:"" help:"Find decisions in files of the log."`
}

// decisionFilter are the flags that say which records are wanted.
type decisionFilter struct {
	Environment string `help:"Of this environment."`
	Decision    string `enum:"allow,deny,any" default:"any" help:"allow, deny or any."`
	Rule        string `help:"Decided by this rule."`
	Reason      string `help:"Refused with this code."`
	PlaybackID  string `name:"playback-id" help:"About this playback ID."`
	Asset       string `help:"About this asset."`
	Type        string `help:"About tokens of this type."`
	Viewer      string `help:"Of this viewer: a pseudonym, or with --config the ID itself."`
	Issuer      string `help:"The alias or URL of that viewer's issuer, with --config; the only one, or main, if left out."`
	Country     string `help:"From this country."`
	Revision    string `help:"By this revision of the rules, or one that begins so."`
	RequestID   string `name:"request-id" help:"Of this request."`
	Since       string `help:"Not before: 2027-01-01T00:00:00Z, or how long ago: 90s, 15m, 1h, 7d."`
	Until       string `help:"Before, likewise."`
	Config      string `placeholder:"FILE" help:"Configuration whose pseudonym key finds a viewer; --environment goes with it."`
	JSON        bool   `name:"json" help:"Print the records as they are."`
}

func (f *decisionFilter) filter(p *Process, now time.Time) (audit.Filter, error) {
	out := audit.Filter{
		Environment: playback.EnvironmentID(f.Environment), Rule: f.Rule, Reason: playback.Code(f.Reason),
		PlaybackID: playback.ID(f.PlaybackID), AssetID: playback.AssetID(f.Asset), Type: f.Type,
		Country: f.Country, Revision: f.Revision, RequestID: f.RequestID,
	}
	if f.Decision != "any" {
		out.Decision = f.Decision
	}
	var err error
	if out.Since, err = momentOrAgo(f.Since, now); err != nil {
		return out, fmt.Errorf("--since: %w", err)
	}
	if out.Until, err = momentOrAgo(f.Until, now); err != nil {
		return out, fmt.Errorf("--until: %w", err)
	}
	out.Viewer, err = f.viewer(p)
	return out, err
}

// viewer returns the pseudonym of the viewer that is meant. The log has no IDs:
// without the key, one would be compared with pseudonyms and found nowhere.
func (f *decisionFilter) viewer(p *Process) (string, error) {
	switch {
	case f.Viewer == "" || f.Config == "" && audit.IsPseudonym(f.Viewer):
		return f.Viewer, nil
	case f.Config == "":
		return "", fmt.Errorf("--viewer: %.80q is no pseudonym, and the log has no viewer's ID: add --config FILE and --environment E, whose key finds it", f.Viewer)
	case f.Environment == "":
		return "", errors.New("--config and --environment go together")
	}
	viewer := app.DecisionViewer{Environment: playback.EnvironmentID(f.Environment), Issuer: f.Issuer, ID: f.Viewer}
	pseudonym, unknown, err := viewer.Pseudonym(f.Config, p.Environ)
	if unknown != nil && err == nil {
		fmt.Fprintf(p.Stderr, "--issuer: %s\n", unknown) // there may be records from when it was one
	}
	return pseudonym, err
}

// momentOrAgo reads a time, or how long ago it was.
func momentOrAgo(text string, now time.Time) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if at, err := time.Parse(time.RFC3339, text); err == nil {
		return at, nil
	}
	ago, err := playback.ParseDuration(text)
	if err != nil {
		return time.Time{}, fmt.Errorf("%.40q is neither a time such as 2027-01-01T00:00:00Z nor a duration such as 90s, 15m, 1h, 7d", text)
	}
	return now.Add(-ago), nil
}

// print writes a record.
func (f *decisionFilter) print(w io.Writer) func(*audit.Record, []byte) error {
	return func(r *audit.Record, line []byte) error {
		text := r.Text()
		if f.JSON {
			text = string(line)
		}
		_, err := fmt.Fprintln(w, text)
		return err
	}
}

type decisionsTailCommand struct {
	decisionFilter

	File  string `arg:"" help:"The file that is being written."`
	Lines int    `short:"n" default:"10" help:"How many of the last decisions to begin with."`
}

// Run follows the file until it is interrupted.
func (c *decisionsTailCommand) Run(p *Process) error {
	filter, err := c.filter(p, time.Now())
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	bad, err := audit.Tail{Path: c.File, Last: c.Lines, Filter: filter}.Follow(ctx, c.print(p.Stdout))
	tellBadLines(p, c.File, bad)
	return err
}

// tellBadLines says how much of a file was no record.
func tellBadLines(p *Process, file string, bad int) {
	if bad > 0 {
		fmt.Fprintf(p.Stderr, "%s: %s left out\n", file, playback.Count(bad, "line is no record and was", "lines are no records and were"))
	}
}

type decisionsGrepCommand struct {
	decisionFilter

	Text  string   `help:"With this text anywhere in the record."`
	Files []string `arg:"" name:"file" help:"Files of the log, also gzipped; - is standard input."`
}

// Run reads the files one after the other.
func (c *decisionsGrepCommand) Run(p *Process) error {
	filter, err := c.filter(p, time.Now())
	if err != nil {
		return err
	}
	filter.Text = c.Text
	for _, name := range c.Files {
		err := withLog(p, name, func(log io.Reader) error {
			bad, err := audit.Read(log, filter, c.print(p.Stdout))
			if err == nil {
				tellBadLines(p, name, bad)
			}
			return err
		})
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

// withLogs opens files of the decision log as one.
func withLogs(p *Process, names []string, read func(io.Reader) error) error {
	if len(names) == 0 {
		return read(strings.NewReader(""))
	}
	return withLog(p, names[0], func(first io.Reader) error {
		return withLogs(p, names[1:], func(rest io.Reader) error { return read(io.MultiReader(first, strings.NewReader("\n"), rest)) })
	})
}

// withLog opens a file of the decision log; "-" is standard input.
func withLog(p *Process, name string, read func(io.Reader) error) (err error) {
	if name == "-" {
		return read(p.Stdin)
	}
	f, err := os.Open(name) //nolint:gosec // the operator names the file
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if !strings.HasSuffix(name, ".gz") {
		return read(f)
	}
	unpacked, err := gzip.NewReader(f)
	if err != nil {
		return err
	}
	return read(unpacked)
}
