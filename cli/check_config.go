package cli

import (
	"errors"
	"fmt"

	"github.com/playgate/playgate/app"
	"github.com/playgate/playgate/configs"
)

type checkConfigCommand struct {
	File string `arg:"" help:"Configuration file."`
}

// Run prints the effective configuration on standard output; problems and
// warnings go to standard error, one line each with its YAML path.
func (c *checkConfigCommand) Run(p *Process) error {
	loaded, warnings, err := app.Check(c.File, p.Environ)
	if err != nil {
		var problems configs.Problems
		if !errors.As(err, &problems) {
			return err
		}
		for _, problem := range problems {
			_, _ = fmt.Fprintf(p.Stderr, "error: %s\n", problem)
		}
		return errReported
	}
	for _, w := range warnings {
		_, _ = fmt.Fprintf(p.Stderr, "warning: %s\n", w)
	}
	for _, name := range loaded.Ignored {
		_, _ = fmt.Fprintf(p.Stderr, "warning: %s: names no setting and is ignored\n", name)
	}
	effective, err := configs.Redacted(loaded.Config)
	if err != nil {
		return err
	}
	_, err = p.Stdout.Write(effective)
	return err
}
