package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/playgate/playgate/app"
	"github.com/playgate/playgate/keystore"
	"github.com/playgate/playgate/playback"
	"github.com/playgate/playgate/signingkey"
)

// keysCommands groups what can be done with signing keys.
type keysCommands struct {
	List     keysListCommand     `cmd:"" help:"List an environment's signing keys, and the next step of its scheduled rotation."`
	Create   keysCreateCommand   `cmd:"" help:"Make a signing key at Mux and store it, prepared; prints its ID alone."`
	Import   keysImportCommand   `cmd:"" help:"Store a signing key from elsewhere, prepared; prints its ID alone."`
	Activate keysActivateCommand `cmd:"" help:"Let a prepared key sign from now on, and retire the one before."`
	Retire   keysRetireCommand   `cmd:"" help:"Take a prepared key out of the succession."`
	Delete   keysDeleteCommand   `cmd:"" help:"Delete a key at Mux and in the key store. Every token that it signed ends."`
}

// keysOf says whose keys.
type keysOf struct {
	Config      string `required:"" placeholder:"FILE" help:"Configuration file."`
	Environment string `required:"" help:"Environment whose keys they are."`
}

// keyOf says which key.
type keyOf struct {
	KeyID string `arg:"" name:"key-id" help:"The signing key's ID."`
	keysOf
}

// forced lets an operator skip a waiting time, and say why.
type forced struct {
	Force  bool   `help:"Do it before its time. Takes --reason."`
	Reason string `help:"Why it is forced; goes into the audit record."`
}

// at opens the desk, runs a command and closes it. SIGINT and SIGTERM end what
// can be ended; what has begun is finished or undone.
func (c *keysOf) at(p *Process, run func(context.Context, *app.KeyDesk) error) (err error) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	desk, err := app.OpenKeys(c.Config, p.Environ, playback.EnvironmentID(c.Environment), p.Stderr)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, desk.Close()) }()
	return forPeople(run(ctx, desk))
}

// forPeople puts the errors of keys in the words of the command line: the
// message, and the cause, which is not for the API's callers but for operators.
func forPeople(err error) error {
	refused, ok := errors.AsType[*playback.Error](err)
	if !ok {
		return err
	}
	message := refused.Message
	if errors.Is(err, playback.CodeKeyNotReady) || errors.Is(err, playback.CodeKeyInUse) {
		message += " To do it all the same: --force --reason WHY."
	}
	if refused.Err == nil {
		return errors.New(message)
	}
	return fmt.Errorf("%s %w", message, refused.Err)
}

func (c *keyOf) order(p *Process) (signingkey.Order, error) {
	id := playback.KeyID(c.KeyID)
	if !id.Valid() {
		return signingkey.Order{}, fmt.Errorf("%.140q is not a key ID: want 1 to 128 letters, digits, _ and -", c.KeyID)
	}
	return signingkey.Order{Environment: playback.EnvironmentID(c.Environment), Key: id, By: operator(p)}, nil
}

// operator names who runs the command, as far as the environment says.
func operator(p *Process) string {
	for _, name := range []string{"SUDO_USER=", "USER=", "LOGNAME="} {
		for _, variable := range p.Environ {
			if len(variable) > len(name) && variable[:len(name)] == name {
				return "operator " + variable[len(name):]
			}
		}
	}
	return "operator"
}

type keysCreateCommand struct {
	keysOf
	Local bool `help:"Make the key here instead of at Mux: for verifiers of the published key set. Mux refuses what it signs."`
}

// Run prints the new key's ID, and on standard error what comes next.
func (c *keysCreateCommand) Run(p *Process) error {
	return c.at(p, func(ctx context.Context, desk *app.KeyDesk) error {
		made, err := desk.Create(ctx, signingkey.Creation{Environment: desk.Environment, By: operator(p), Local: c.Local})
		if err != nil {
			return err
		}
		return announce(p, desk, made.Status)
	})
}

// announce prints a new key's ID, and what comes next.
func announce(p *Process, desk *app.KeyDesk, s signingkey.Status) error {
	ready := desk.Settings.ReadyAt(keystore.Life{State: s.State, CreatedAt: s.CreatedAt})
	_, _ = fmt.Fprintf(p.Stderr, "signing key %s is prepared; it may be activated from %s on (at once if no key is active)\n", s.ID, moment(ready))
	_, err := fmt.Fprintln(p.Stdout, s.ID)
	return err
}

type keysImportCommand struct {
	keyOf
	File string `arg:"" optional:"" default:"-" help:"PEM, or base64 of PEM as Mux shows it; - is standard input."`
}

// Run prints the ID, and on standard error what comes next.
func (c *keysImportCommand) Run(p *Process) error {
	order, err := c.order(p)
	if err != nil {
		return err
	}
	material, err := c.read(p)
	if err != nil {
		return fmt.Errorf("reading the key: %w", err)
	}
	return c.at(p, func(ctx context.Context, desk *app.KeyDesk) error {
		imported, err := desk.Import(ctx, signingkey.Import{Environment: order.Environment, Key: order.Key, By: order.By, Material: material})
		if err != nil {
			return err
		}
		if len(imported.Repairs) > 0 {
			_, _ = fmt.Fprintf(p.Stderr, "warning: the key %s; it is stored as PEM\n", keystore.Repaired(imported.Repairs))
		}
		return announce(p, desk, imported.Status)
	})
}

func (c *keysImportCommand) read(p *Process) (playback.Secret, error) {
	from := p.Stdin
	if c.File != "-" {
		f, err := os.Open(c.File)
		if err != nil {
			return playback.Secret{}, err
		}
		defer func() { _ = f.Close() }() // only read from
		from = f
	}
	if from == nil {
		return playback.Secret{}, errors.New("there is no standard input")
	}
	text, err := io.ReadAll(io.LimitReader(from, keystore.MaxMaterial+1))
	return playback.NewSecret(string(text)), err
}

type keysActivateCommand struct {
	keyOf
	forced
}

// Run says what signs now.
func (c *keysActivateCommand) Run(p *Process) error {
	order, err := c.order(p)
	if err != nil {
		return err
	}
	order.Force, order.Reason = c.Force, c.Reason
	return c.at(p, func(ctx context.Context, desk *app.KeyDesk) error {
		status, err := desk.Activate(ctx, order)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(p.Stdout, "signing key %s is active since %s; gateways sign with it when they next look at the keys\n", status.ID, moment(status.ActivatedAt))
		return err
	})
}

type keysRetireCommand struct{ keyOf }

// Run says when the key may be deleted.
func (c *keysRetireCommand) Run(p *Process) error {
	order, err := c.order(p)
	if err != nil {
		return err
	}
	return c.at(p, func(ctx context.Context, desk *app.KeyDesk) error {
		status, err := desk.Retire(ctx, order)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(p.Stdout, "signing key %s is retired; it may be deleted from %s on\n", status.ID, moment(status.DeletableAt))
		return err
	})
}

type keysDeleteCommand struct {
	keyOf
	forced
}

// Run deletes; a key that is gone already is no error.
func (c *keysDeleteCommand) Run(p *Process) error {
	order, err := c.order(p)
	if err != nil {
		return err
	}
	order.Force, order.Reason = c.Force, c.Reason
	return c.at(p, func(ctx context.Context, desk *app.KeyDesk) error {
		switch err := desk.Delete(ctx, order); {
		case errors.Is(err, playback.CodeNotFound):
			_, err = fmt.Fprintf(p.Stdout, "there is no signing key %s: nothing to delete\n", order.Key)
			return err
		case err != nil:
			return err
		}
		if desk.Settings.LeftAtMux() {
			_, _ = fmt.Fprintf(p.Stderr, "signing key %s is not deleted at Mux: there is no mux.token_id\n", order.Key)
		}
		_, err := fmt.Fprintf(p.Stdout, "signing key %s is deleted\n", order.Key)
		return err
	})
}
