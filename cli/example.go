package cli

import (
	"fmt"

	"github.com/alecthomas/kong"
)

// examples are command lines that are complete, by the command without its
// arguments: what a usage error shows.
var examples = map[string]string{ //nolint:gochecknoglobals,gosec // a constant table; G101: no credential
	"serve":               "--config playgate.yaml",
	"demo":                "",
	"check-config":        "playgate.yaml",
	"keys list":           "--config playgate.yaml --environment acme-prod",
	"keys create":         "--config playgate.yaml --environment acme-prod",
	"keys import":         "KEY_ID key.pem --config playgate.yaml --environment acme-prod",
	"keys activate":       "KEY_ID --config playgate.yaml --environment acme-prod",
	"keys retire":         "KEY_ID --config playgate.yaml --environment acme-prod",
	"keys delete":         "KEY_ID --config playgate.yaml --environment acme-prod",
	"policy check":        "policy.yaml",
	"policy test":         "policy.yaml",
	"policy explain":      `policy.yaml --given '{"playback_id": "PID1", "request": {"country": "DE"}}'`,
	"policy diff":         "old.yaml new.yaml",
	"decisions tail":      "decisions.log",
	"decisions grep":      "decisions.log --decision deny",
	"token sign":          "PLAYBACK_ID --config playgate.yaml --environment acme-prod",
	"token inspect":       "TOKEN",
	"token verify":        "TOKEN --config playgate.yaml",
	"access-token create": "--name backend",
	"version":             "",
	"help":                "keys import",
}

// usageError says what is wrong with a command line, with one that is right and
// where more is to be read.
func usageError(problem *kong.ParseError) error {
	see := "playgate"
	if node := commandOf(problem.Context); node != nil {
		see = node.FullPath()
	}
	name := ""
	if len(see) > len("playgate ") {
		name = see[len("playgate "):]
	}
	if args, ok := examples[name]; ok && args != "" {
		return fmt.Errorf("%w; for example: %s %s (see %s --help)", problem, see, args, see)
	}
	return fmt.Errorf("%w (see %s --help)", problem, see)
}

// commandOf returns the innermost command that a command line names; nil: none.
func commandOf(ctx *kong.Context) (node *kong.Node) {
	if ctx == nil {
		return nil
	}
	for _, step := range ctx.Path {
		if step.Command != nil {
			node = step.Command
		}
	}
	return node
}
