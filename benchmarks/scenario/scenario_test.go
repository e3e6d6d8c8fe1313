package scenario_test

import (
	"errors"
	"testing"
	"time"

	"github.com/playgate/playgate/benchmarks/load"
	"github.com/playgate/playgate/benchmarks/report"
	"github.com/playgate/playgate/benchmarks/scenario"
	"github.com/playgate/playgate/benchmarks/world"
)

// A run of tiny windows against the real binary: that every answer is right and
// every token verifies, not how fast that is.
func TestScenariosRunAgainstTheRealGateway(t *testing.T) {
	dir := t.TempDir()
	binary, err := world.Build(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	bench, err := scenario.New(scenario.Config{
		Dir: dir, Binary: binary, Log: t.Output(), Seed: 1,
		Size: scenario.Size{Viewers: 100, IDs: 200, FewIDs: 200, Window: 300 * time.Millisecond},
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range scenario.All()[:5] { // hit, miss, mixed, cold, herd
		got, err := bench.Run(t.Context(), s)
		if errors.Is(err, load.ErrBehind) {
			t.Logf("this machine is too busy to measure on: %v", err)
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		if len(got.Measurements) == 0 || got.Verified.Tokens == 0 {
			t.Errorf("scenario %s: %d measurements, %d tokens verified", s.Name, len(got.Measurements), got.Verified.Tokens)
		}
		run := report.Run{Scenarios: []report.Scenario{got}}
		for _, c := range run.Failed() {
			t.Errorf("%s: %s, must be %s", c.Name, c.Value, c.Bound)
		}
	}
}

func TestACacheIsFilledWithTokensAsLongAsReal(t *testing.T) {
	filled, err := scenario.Fill(t.Context(), 1000)
	if err != nil {
		t.Fatal(err)
	}
	if filled.Tokens != 1000 || filled.Length < 550 || filled.Length > 750 || filled.RSS == 0 {
		t.Errorf("Fill = %+v", filled)
	}
}
