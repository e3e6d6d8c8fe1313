package cli_test

import (
	"strings"
	"testing"

	"github.com/playgate/playgate/cli"
)

// TestTheDemoListensOnLoopbackByDefault: contract §1. Everybody knows its
// secrets.
func TestTheDemoListensOnLoopbackByDefault(t *testing.T) {
	t.Parallel()
	var out, errs strings.Builder
	if status := cli.Run(&cli.Process{Args: []string{"demo", "--help"}, Stdout: &out, Stderr: &errs}); status != 0 {
		t.Fatalf("status %d, %s", status, errs.String())
	}
	for _, want := range []string{`--listen="127.0.0.1:8080"`, `--mux-listen="127.0.0.1:8081"`} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("want %s in\n%s", want, out.String())
		}
	}
}
