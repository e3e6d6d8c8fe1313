package cli_test

import (
	"strings"
	"testing"

	"github.com/playgate/playgate/cli"
)

func TestTokenSignTakesAParameterAsItWasTyped(t *testing.T) {
	t.Parallel()
	var out, errs strings.Builder
	status := cli.Run(&cli.Process{
		Args:   []string{"token", "sign", "P1", "--config", "none", "--environment", "e", "--param", "asset_start_time=1;asset_end_time=9"},
		Stdout: &out, Stderr: &errs,
	})
	if status != 1 || out.Len() > 0 || !strings.Contains(errs.String(), "--param: asset_start_time") || strings.Count(errs.String(), "\n") != 1 {
		t.Errorf("status %d, %q, %q, want 1 and one line about the value 1;asset_end_time=9", status, out.String(), errs.String())
	}
}
