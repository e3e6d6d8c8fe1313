package cli

import (
	"context"
	"fmt"
	"time"

	"github.com/playgate/playgate/app"
	"github.com/playgate/playgate/playback"
	"github.com/playgate/playgate/signer"
)

type tokenVerifyCommand struct {
	Token       compactToken `arg:"" help:"The token; white space, quotation marks and Bearer around it do not matter."`
	Config      string       `required:"" placeholder:"FILE" help:"Configuration file."`
	Environment string       `help:"Only the keys of this environment; default: of all."`
}

// Run says "valid" and for what, or exactly what is wrong.
func (c *tokenVerifyCommand) Run(p *Process) error {
	offline, err := app.OpenOffline(context.Background(), c.Config, p.Environ, playback.EnvironmentID(c.Environment))
	if err != nil {
		return err
	}
	var worst signer.Verdict
	for n, env := range offline.Environments() {
		verdict := signer.Verify(string(c.Token), offline.PublicKeys(env), time.Now())
		if verdict.Valid {
			if _, err := fmt.Fprintf(p.Stdout, "valid, signed by a key of environment %s\n", env); err != nil {
				return err
			}
			return describe(p.Stdout, verdict.Token, time.Now())
		}
		// The environment that has the key knows best what is wrong.
		if n == 0 || worst.Reason == signer.ReasonUnknownKey {
			worst = verdict
		}
	}
	if worst.Reason == signer.ReasonUnknownKey { // its key may be one that could not be read
		for _, env := range offline.Environments() {
			warnOfKeys(p, offline, env)
		}
	}
	return fmt.Errorf("not valid: %s: %s", worst.Reason, printable(worst.Detail))
}
