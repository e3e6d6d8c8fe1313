package cli

import (
	"errors"
	"fmt"
	"os"

	"github.com/playgate/playgate/app"
	"github.com/playgate/playgate/playback"
	"github.com/playgate/playgate/policy"
)

// policyCommands groups what can be done with rules.
type policyCommands struct {
	Check policyCheckCommand `cmd:"" help:"Compile rules; every problem with its path, and warnings."`
	Test  policyTestCommand  `cmd:"" help:"Run the tests that stand in the documents, with coverage by rule."`
}

// policyFiles are documents and, if the rules need to know it, the environment
// they are for.
type policyFiles struct {
	Files       []string `arg:"" name:"file" help:"Rule documents."`
	Config      string   `placeholder:"FILE" help:"Configuration whose environment the rules are for: its catalogue, lifetimes and pseudonym key."`
	Environment string   `help:"Environment in that configuration."`
}

// context returns the options and the catalogue to compile with.
func (f *policyFiles) context(p *Process) (policy.Options, []*playback.Object, error) {
	switch {
	case f.Config == "" && f.Environment == "":
		return policy.Options{}, nil, nil
	case f.Config == "" || f.Environment == "":
		return policy.Options{}, nil, errors.New("--config and --environment go together")
	}
	return app.RuleContext(f.Config, p.Environ, playback.EnvironmentID(f.Environment))
}

// maxDocument bounds what is read of one file, in bytes.
const maxDocument = 4 << 20

func readDocument(name string) ([]byte, error) {
	info, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	if info.Size() > maxDocument {
		return nil, fmt.Errorf("%s is larger than %d bytes", name, maxDocument)
	}
	return os.ReadFile(name) //nolint:gosec // the operator names the file
}

type policyCheckCommand struct{ policyFiles }

// Run checks every file before it fails.
func (c *policyCheckCommand) Run(p *Process) error {
	options, known, err := c.context(p)
	if err != nil {
		return err
	}
	failed := false
	for _, name := range c.Files {
		document, err := readDocument(name)
		if err != nil {
			return err
		}
		warnings, err := policy.Check(document, options, known)
		if err != nil {
			failed = true
			reportProblems(p, name, err)
			continue
		}
		for _, w := range warnings {
			_, _ = fmt.Fprintf(p.Stderr, "warning: %s: %s\n", name, w)
		}
		_, _ = fmt.Fprintf(p.Stdout, "%s: ok\n", name)
	}
	if failed {
		return errReported
	}
	return nil
}

type policyTestCommand struct{ policyFiles }

// Run tests every file before it fails.
func (c *policyTestCommand) Run(p *Process) error {
	options, _, err := c.context(p)
	if err != nil {
		return err
	}
	failed := false
	for _, name := range c.Files {
		document, err := readDocument(name)
		if err != nil {
			return err
		}
		report, err := policy.Test(document, options)
		if err != nil {
			failed = true
			reportProblems(p, name, err)
			continue
		}
		failed = failed || report.Failures() > 0
		if err := report.Print(p.Stdout, name); err != nil {
			return err
		}
	}
	if failed {
		return errReported
	}
	return nil
}

// reportProblems prints what is wrong with a document, one line each.
func reportProblems(p *Process, name string, err error) {
	var problems policy.Problems
	if !errors.As(err, &problems) {
		_, _ = fmt.Fprintf(p.Stderr, "error: %s: %s\n", name, err)
		return
	}
	for _, problem := range problems {
		_, _ = fmt.Fprintf(p.Stderr, "error: %s: %s\n", name, problem)
	}
}
