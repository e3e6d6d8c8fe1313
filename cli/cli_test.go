package cli_test

import (
	"strings"
	"testing"

	"github.com/playgate/playgate/cli"
)

// TestWhatPeopleTryFirst: usage and version are answers, not errors.
func TestWhatPeopleTryFirst(t *testing.T) {
	t.Parallel()
	const usage, version = "Usage: playgate <command> [flags]\n", "playgate "
	for _, c := range []struct {
		args   []string
		status int
		out    string // how standard output begins
		errs   string // all of standard error
	}{
		{nil, 0, usage, ""},
		{[]string{"help"}, 0, usage, ""},
		{[]string{"--help"}, 0, usage, ""},
		{[]string{"-h"}, 0, usage, ""},
		{[]string{"help", "help"}, 0, "Usage: playgate help [<command> ...] [flags]\n", ""},
		{[]string{"help", "keys"}, 0, "Usage: playgate keys <command> [flags]\n", ""},
		{[]string{"help", "keys", "import"}, 0, "Usage: playgate keys import ", ""},
		{[]string{"keys", "import", "--help"}, 0, "Usage: playgate keys import ", ""},
		{[]string{"--version"}, 0, version, ""},
		{[]string{"version"}, 0, version, ""},
		{[]string{"serve", "--version"}, 0, version, ""},
		{[]string{"nonsense"}, 2, "", "playgate: unexpected argument nonsense (see playgate --help)\n"},
		{[]string{"help", "nonsense"}, 2, "", "playgate: unexpected argument nonsense (see playgate --help)\n"},
		{[]string{"--nonsense"}, 2, "", "playgate: unknown flag --nonsense (see playgate --help)\n"},
		{[]string{"serve"}, 2, "", "playgate: missing flags: --config=FILE; for example: playgate serve --config playgate.yaml (see playgate serve --help)\n"},
	} {
		var out, errs strings.Builder
		status := cli.Run(&cli.Process{Args: c.args, Stdout: &out, Stderr: &errs})
		if status != c.status || !strings.HasPrefix(out.String(), c.out) || c.out == "" && out.Len() > 0 || errs.String() != c.errs {
			t.Errorf("%q: status %d, %q, %q, want %d, %q…, %q", c.args, status, out.String(), errs.String(), c.status, c.out, c.errs)
		}
	}
}
