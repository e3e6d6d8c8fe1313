package cli

import (
	"slices"

	"github.com/alecthomas/kong"
)

// helpCommand shows the usage of a command, as --help does after it.
type helpCommand struct {
	Command []string `arg:"" optional:"" help:"The command, such as keys import; none: all of them."`
}

// Run ends in kong.Exit, or returns that there is no such command.
func (c *helpCommand) Run(kctx *kong.Context) error {
	_, err := kctx.Parse(append(slices.Clone(c.Command), "--help"))
	return err
}
