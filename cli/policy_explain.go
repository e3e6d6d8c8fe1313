package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/playgate/playgate/playback"
	"github.com/playgate/playgate/policy"
)

type policyExplainCommand struct {
	File        string `arg:"" optional:"" help:"Rule document; without one, --config and --environment say which rules are meant."`
	Given       string `required:"" placeholder:"JSON" help:"The question, as a test's given has it: {\"viewer\": {…}, \"playback_id\": …, \"request\": {…}, \"now\": …}, where now is 2026-01-01T00:00:00Z if it is not given; @FILE reads a file. The inputs of a recorded decision will do."`
	Config      string `placeholder:"FILE" help:"Configuration whose environment the rules are for; its playback_ids describe a playback ID that is given alone."`
	Environment string `help:"Environment in that configuration."`
	JSON        bool   `name:"json" xor:"form" help:"Print the whole explanation as JSON."`
	Tests       bool   `name:"tests" xor:"form" help:"Print the question, and each change that flips the answer, as entries for the document's tests."`
}

// Run explains the answer of one document.
func (c *policyExplainCommand) Run(p *Process) error {
	given := []byte(c.Given)
	if name, ok := strings.CutPrefix(c.Given, "@"); ok {
		var err error
		if given, err = readDocument(name); err != nil {
			return err
		}
	}
	files := policyFiles{Config: c.Config, Environment: c.Environment}
	if c.File != "" {
		files.Files = []string{c.File}
	}
	options, _, err := files.context(p)
	if err != nil {
		return err
	}
	return files.each(p, options, func(_ string, document []byte, o policy.Options) (bool, error) {
		ctx, cancel := context.WithTimeout(context.Background(), questionTime)
		defer cancel()
		x, err := policy.ExplainGiven(ctx, document, given, o)
		if err == nil {
			warn(p, "--given", policy.GivenDoubts(given, o))
		}
		switch {
		case err != nil:
			return false, err
		case c.Tests:
			tests, err := policy.WriteCases(policy.Cases(x))
			if err != nil {
				return false, err
			}
			_, err = p.Stdout.Write(tests)
			return true, err
		case c.JSON:
			enc := json.NewEncoder(p.Stdout)
			enc.SetEscapeHTML(false)
			enc.SetIndent("", "  ")
			return true, enc.Encode(x)
		}
		return true, printExplanation(p.Stdout, x)
	})
}

func printExplanation(w io.Writer, x *playback.Explanation) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s", x.Effect)
	for _, part := range []struct{ name, value string }{{"rule", x.Rule}, {"code", string(x.Code)}, {"revision", x.Revision}} {
		if part.value != "" {
			fmt.Fprintf(&b, "  %s %s", part.name, part.value)
		}
	}
	b.WriteString("\n")
	table := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	for _, r := range x.Rules {
		mark := ""
		if r.Decided {
			mark = "decided"
		}
		fmt.Fprintf(table, "  %s\t%s\t%s\t%s\t%s\n", r.Effect, r.Rule, r.Result, mark, readings(r))
		if r.Error != "" {
			fmt.Fprintf(table, "  \t\t\t\t%s\n", r.Error)
		}
	}
	if err := table.Flush(); err != nil {
		return err
	}
	for _, g := range x.Idle {
		fmt.Fprintf(&b, "not in force: %s\n", idleText(g))
	}
	for _, f := range x.Flips {
		fmt.Fprintf(&b, "%s", f.Text)
		if f.Rule != "" {
			fmt.Fprintf(&b, "  (rule %s)", f.Rule)
		}
		b.WriteString("\n")
	}
	if x.Partial {
		b.WriteString("there were more changes to try than time\n")
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// idleText says which right is not in force and why.
func idleText(g playback.IdleGrant) string {
	var why []string
	for _, o := range g.Why {
		why = append(why, o.Text)
	}
	name := "grant " + g.ID
	if g.ID == "" {
		name = "the grant without an ID"
	}
	return fmt.Sprintf("%s (%s): %s", name, g.Held.Type, strings.Join(why, "; "))
}

// readings lists what a rule reads: request.country=US.
func readings(r playback.RuleResult) string {
	var parts []string
	for _, v := range r.Values {
		value := "absent"
		if v.Known || v.Value != nil {
			text, err := json.Marshal(v.Value)
			if err != nil {
				text = fmt.Append(nil, v.Value)
			}
			value = string(text)
		}
		parts = append(parts, v.Name+"="+value)
	}
	return strings.Join(parts, " ")
}

type policyDiffCommand struct {
	Old         string   `arg:"" help:"The rule document in force."`
	New         string   `arg:"" help:"The one that may replace it."`
	Decisions   []string `placeholder:"FILE" help:"Files of the decision log, with inputs in full; also gzipped, - is standard input. Without any, the tests of both documents are replayed."`
	Plan        string   `default:"plan" help:"The claim that names a viewer's plan."`
	Config      string   `placeholder:"FILE" help:"Configuration whose environment the rules are for; only its decisions are replayed."`
	Environment string   `help:"Environment in that configuration."`

	Timeout time.Duration `default:"5s" help:"Give up after this time: a log of a million decisions takes longer than the default."`
}

// Run compiles both documents and replays the decisions, or the tests.
func (c *policyDiffCommand) Run(p *Process) error {
	files := policyFiles{[]string{c.Old, c.New}, c.Config, c.Environment}
	options, _, err := files.context(p)
	if err != nil {
		return err
	}
	var both []*policy.Policy
	var documents []policy.Document
	err = files.each(p, options, func(_ string, document []byte, o policy.Options) (bool, error) {
		compiled, err := policy.CompileAlone(document, o)
		both, documents = append(both, compiled), append(documents, policy.Document{Text: document, Options: o})
		return err == nil, err
	})
	if err != nil {
		return err
	}
	o := policy.DiffOptions{Environment: playback.EnvironmentID(c.Environment), PlanClaim: c.Plan}
	ctx, cancel := context.WithTimeout(context.Background(), c.Timeout)
	defer cancel()
	if len(c.Decisions) == 0 {
		report, err := policy.DiffTests(ctx, documents[0], documents[1], o)
		if err != nil {
			return c.tooLong(err)
		}
		return report.Print(p.Stdout)
	}
	return withLogs(p, c.Decisions, func(log io.Reader) error {
		report, err := policy.Diff(ctx, both[0], both[1], log, o)
		if err != nil {
			return c.tooLong(err)
		}
		return report.Print(p.Stdout)
	})
}

// tooLong says what to do about an error that is the end of the time.
func (c *policyDiffCommand) tooLong(err error) error {
	if errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("not done after %s (%w): give it more time with --timeout", c.Timeout, err)
	}
	return err
}

// questionTime is how long an explanation or a comparison of rules may take, as
// the gateway has it for every request.
const questionTime = 5 * time.Second

// writeJUnit writes the results of all documents into one file.
func writeJUnit(name string, results *policy.JUnit) (err error) {
	f, err := os.Create(filepath.Clean(name))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	return results.Write(f)
}
