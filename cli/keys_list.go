package cli

import (
	"context"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/playgate/playgate/app"
	"github.com/playgate/playgate/keystore"
	"github.com/playgate/playgate/playback"
	"github.com/playgate/playgate/signingkey"
)

type keysListCommand struct{ keysOf }

// Run prints a table and the plan; what is wrong goes to standard error.
func (c *keysListCommand) Run(p *Process) error {
	return c.at(p, func(ctx context.Context, desk *app.KeyDesk) error {
		problems, err := desk.Problems(ctx)
		for _, problem := range problems {
			_, _ = fmt.Fprintf(p.Stderr, "warning: %s\n", visible(problem.String()))
		}
		if err != nil {
			return err
		}
		list, err := desk.List(ctx, desk.Environment)
		if err != nil {
			return err
		}
		step, err := desk.Planned(ctx, desk.Environment)
		if err != nil {
			return err
		}
		now := time.Now()
		if err := printKeys(p.Stdout, list, now); err != nil {
			return err
		}
		return printPlan(p.Stdout, desk.Settings, step, now)
	})
}

// printKeys prints one line a key. The latest expiry is what running gateways
// know (GET /v1/signing-keys); the bound that stands beside it needs no record.
func printKeys(to io.Writer, list []signingkey.Status, now time.Time) error {
	w := tabwriter.NewWriter(to, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(w, "ID\tSTATE\tAGE\tUSE\tACTIVATED\tRETIRED\tLAST EXPIRY\tDELETABLE AT") // Flush reports
	for _, k := range list {
		_, _ = fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", k.ID, k.State, age(k.CreatedAt, now), use(k),
			moment(k.ActivatedAt), moment(k.RetiredAt), moment(k.LastExpiry), deletable(k, now))
	}
	return w.Flush()
}

// use says in a word what a key is there for.
func use(k signingkey.Status) string {
	text := map[keystore.State]string{keystore.Prepared: "published", keystore.Active: "signs", keystore.Retired: "verifies"}[k.State]
	if k.External {
		text += ", external"
	}
	return text
}

func deletable(k signingkey.Status, now time.Time) string {
	switch {
	case k.State == keystore.Active:
		return "never while active"
	case k.State == keystore.Prepared:
		return "now"
	case k.DeletableAt.IsZero():
		return "unknown"
	case !now.Before(k.DeletableAt):
		return "now"
	}
	return moment(k.DeletableAt)
}

// printPlan says what the scheduled rotation does next, and when.
func printPlan(to io.Writer, s signingkey.Settings, step signingkey.Step, now time.Time) error {
	schedule := "off (keys.rotate_every is 0)"
	if s.RotateEvery > 0 {
		schedule = "every " + playback.FormatDuration(s.RotateEvery)
	}
	what := "nothing is scheduled"
	switch step.Action {
	case signingkey.NoAction:
	case signingkey.CreateKey:
		what = "a new key is made"
	case signingkey.Activation:
		what = fmt.Sprintf("key %s is activated, and the one before retired", step.Key)
	case signingkey.Deletion:
		what = fmt.Sprintf("key %s is deleted", step.Key)
	}
	switch {
	case step.Action == signingkey.NoAction:
	case step.Blocked != "":
		what = fmt.Sprintf("none: otherwise %s, but %s", what, step.Blocked)
	case step.Due(now):
		what += " as soon as a gateway looks"
	default:
		what += " at " + moment(step.At)
	}
	_, err := fmt.Fprintf(to, "\nscheduled rotation: %s\nnext step: %s\n", schedule, what)
	return err
}

// moment writes a time for people; - is not known, or not yet.
func moment(at time.Time) string {
	if at.IsZero() {
		return "-"
	}
	return at.UTC().Format(time.RFC3339)
}

// age writes how long ago something was, in its largest unit.
func age(since, now time.Time) string {
	d := now.Sub(since)
	switch {
	case since.IsZero():
		return "-"
	case d < time.Minute:
		return fmt.Sprintf("%ds", max(0, int(d.Seconds())))
	case d < time.Hour:
		return fmt.Sprintf("%dm", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh", int(d.Hours()))
	}
	return fmt.Sprintf("%dd", int(d.Hours()/24))
}
