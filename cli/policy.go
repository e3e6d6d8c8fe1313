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
	Check   policyCheckCommand   `cmd:"" help:"Compile rules; every problem with its path, and warnings."`
	Test    policyTestCommand    `cmd:"" help:"Run the tests that stand in the documents, with coverage by rule; a rule that is never reached fails."`
	Explain policyExplainCommand `cmd:"" help:"Say why a question is answered as it is, and what would change the answer."`
	Diff    policyDiffCommand    `cmd:"" help:"Replay recorded decisions, or the documents' own tests, with two documents: who gains, who loses."`
}

// policyFiles are documents and, if the rules need to know it, the environment
// they are for.
type policyFiles struct {
	Files       []string `arg:"" name:"file" optional:"" help:"Rule documents; without any, --config and --environment say whose rules are meant, those in place included."`
	Config      string   `placeholder:"FILE" help:"Configuration whose environment the rules are for: its catalogue, lifetimes and pseudonym key."`
	Environment string   `help:"Environment in that configuration."`
}

// context returns the options and the catalogue to compile with.
func (f *policyFiles) context(p *Process) (policy.Options, []*playback.Object, error) {
	switch {
	case f.Config == "" && f.Environment == "":
		return policy.Options{}, nil, nil
	case f.Config == "" || f.Environment == "":
		return policy.Options{}, nil, errors.New("--config and --environment go together: --config FILE --environment NAME")
	}
	return app.RuleContext(f.Config, p.Environ, playback.EnvironmentID(f.Environment))
}

// maxDocument bounds what is read of one file, in bytes: a document, or what it
// names.
const maxDocument = 8 << 20

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

// step does what a command does with one document.
type step func(name string, document []byte, o policy.Options) (passed bool, err error)

// each runs a step for every document, and goes on behind one with problems,
// so that all of them are reported; such a document fails the command. Without a
// file it is the document of the environment.
func (f *policyFiles) each(p *Process, options policy.Options, do step) error {
	if len(f.Files) == 0 {
		return f.inForce(p, options, do)
	}
	failed := false
	for _, name := range f.Files {
		document, err := readDocument(name)
		if err != nil {
			return err
		}
		options.File, options.ReadFile = name, readDocument
		passed, err := f.run(p, name, func() (bool, error) { return do(name, document, options) })
		if err != nil {
			return err
		}
		failed = failed || !passed
	}
	if failed {
		return errReported
	}
	return nil
}

// inForce runs a step for the rules that an environment has in the configuration.
func (f *policyFiles) inForce(p *Process, options policy.Options, do step) error {
	if f.Config == "" {
		return errors.New("want a file with rules, or --config FILE --environment NAME for the rules of an environment")
	}
	rules, err := app.RulesOf(f.Config, p.Environ, playback.EnvironmentID(f.Environment))
	if err != nil {
		return err
	}
	options.File, options.Line = rules.File, rules.Line
	if rules.File != "" {
		options.ReadFile = readDocument
	}
	passed, err := f.run(p, rules.Name, func() (bool, error) { return do(rules.Name, rules.Document, options) })
	if err == nil && !passed {
		return errReported
	}
	return err
}

// run runs a step, and reports the problems of its document.
func (f *policyFiles) run(p *Process, name string, do func() (bool, error)) (passed bool, err error) {
	passed, err = do()
	if problems, ok := errors.AsType[policy.Problems](err); ok {
		reportProblems(p, name, problems)
		return false, nil
	}
	return passed, err
}

type policyCheckCommand struct{ policyFiles }

// Run checks every file before it fails.
func (c *policyCheckCommand) Run(p *Process) error {
	options, known, err := c.context(p)
	if err != nil {
		return err
	}
	return c.each(p, options, func(name string, document []byte, o policy.Options) (bool, error) {
		warnings, err := policy.Check(document, o, known)
		if err != nil {
			return false, err
		}
		warn(p, name, warnings)
		_, err = fmt.Fprintf(p.Stdout, "%s: ok\n", name)
		return true, err
	})
}

type policyTestCommand struct {
	policyFiles

	JUnit string `name:"junit" placeholder:"FILE" help:"Write the results as JUnit XML, too."`
}

// Run tests every file before it fails.
func (c *policyTestCommand) Run(p *Process) error {
	options, _, err := c.context(p)
	if err != nil {
		return err
	}
	var results policy.JUnit
	err = c.each(p, options, func(name string, document []byte, o policy.Options) (bool, error) {
		report, err := policy.Test(document, o)
		if problems, ok := errors.AsType[policy.Problems](err); ok {
			results.AddProblems(name, problems)
		}
		if err != nil {
			return false, err
		}
		warn(p, name, report.Doubts)
		results.Add(name, report)
		return report.Passed(), report.Print(p.Stdout, name)
	})
	if c.JUnit != "" {
		if err := writeJUnit(c.JUnit, &results); err != nil {
			return err
		}
	}
	return err
}

// warn prints what is legal, but probably not meant, one line each.
func warn(p *Process, name string, warnings []string) {
	for _, w := range warnings {
		_, _ = fmt.Fprintf(p.Stderr, "warning: %s: %s\n", name, w)
	}
}

// reportProblems prints what is wrong with a document, one line each.
func reportProblems(p *Process, name string, problems policy.Problems) {
	for _, problem := range problems {
		_, _ = fmt.Fprintf(p.Stderr, "error: %s: %s\n", name, problem)
	}
}
