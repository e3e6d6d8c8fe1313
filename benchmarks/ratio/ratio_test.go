package ratio_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/playgate/playgate/benchmarks/ratio"
	"github.com/playgate/playgate/benchmarks/world"
)

// needPrograms wants the load generator and openssl.
func needPrograms(t *testing.T) {
	t.Helper()
	for _, name := range []string{"wrk", "openssl"} {
		if _, err := exec.LookPath(name); err == nil {
			continue
		}
		if os.Getenv("CI") != "" {
			t.Fatalf("%s is missing; `make setup` installs it", name)
		}
		t.Skipf("NOT TESTED: %s is missing; `make setup` installs it", name)
	}
}

func windows(rates ...float64) []ratio.Window {
	var all []ratio.Window
	for _, rate := range rates {
		all = append(all, ratio.Window{PerSecond: rate, CPU: 1000 / rate})
	}
	return all
}

func TestRatiosLieWithinARound(t *testing.T) {
	t.Parallel()
	for name, one := range map[string]struct {
		over, under ratio.Series
		rounds      []float64
		median      float64
		cpu         float64
	}{
		"a floor counts before and after": {
			ratio.Series{Windows: windows(60, 80, 90)},
			ratio.Series{Windows: windows(100, 140, 60, 120)},
			[]float64{0.5, 0.8, 1},
			0.8, 0.952,
		},
		"a peer counts in its round": {
			ratio.Series{Windows: windows(60, 80)},
			ratio.Series{Windows: windows(30, 20)},
			[]float64{2, 4},
			3, 3,
		},
		"tokens are compared, not requests": {
			ratio.Series{Windows: windows(20), Tokens: 4},
			ratio.Series{Windows: windows(100)},
			[]float64{0.8},
			0.8, 0.8,
		},
	} {
		got := ratio.Compare(one.over, one.under, len(one.rounds))
		want := ratio.Ratio{Name: "over / under", Rounds: one.rounds, Median: one.median, CPU: one.cpu}
		if diff := cmp.Diff(want, got, cmpopts.EquateApprox(0, 0.001)); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

func TestEveryMissAsksForAnotherIDAndViewersTakeTurns(t *testing.T) {
	t.Parallel()
	needPrograms(t)
	var mu sync.Mutex
	ids, viewers := map[string]int{}, map[string]int{}
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		ids[r.URL.Path]++
		viewers[r.Header.Get("Authorization")]++
	}))
	defer server.Close()
	var tokens []string
	for n := range ratio.Connections {
		tokens = append(tokens, fmt.Sprintf("viewer-%d", n))
	}
	requests, err := ratio.Misses(t.Context(), t.TempDir(), server.URL, tokens, time.Second)
	if err != nil {
		t.Fatal(err)
	}
	mu.Lock()
	defer mu.Unlock()
	if int64(len(ids)) < requests {
		t.Errorf("%d requests asked for %d IDs", requests, len(ids))
	}
	for path, n := range ids {
		if n > 1 || !strings.HasPrefix(path, "/v1/playback-ids/W1T") {
			t.Errorf("%s was asked %d times", path, n)
		}
	}
	if len(viewers) != len(tokens) {
		t.Errorf("%d viewers asked, not %d", len(viewers), len(tokens))
	}
}

func TestOneRefusalFailsAWindow(t *testing.T) {
	t.Parallel()
	needPrograms(t)
	var once sync.Once
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		once.Do(func() { w.WriteHeader(http.StatusServiceUnavailable) })
	}))
	defer server.Close()
	_, err := ratio.Misses(t.Context(), t.TempDir(), server.URL, []string{ratio.Connections: "viewer"}, time.Second)
	if err == nil || !strings.Contains(err.Error(), "1 of ") {
		t.Errorf("the error is %v", err)
	}
}

func TestAShortRunMeasuresTheRealGateway(t *testing.T) {
	t.Parallel()
	needPrograms(t)
	dir := t.TempDir()
	binary, err := world.Build(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	r, err := ratio.Run(t.Context(), ratio.Config{Dir: dir, Binary: binary, Rounds: 1, Window: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	for _, one := range r.Ratios {
		if len(one.Rounds) != 1 || one.Median <= 0 || one.CPU <= 0 {
			t.Errorf("%+v", one)
		}
	}
	report := r.Markdown()
	for _, want := range []string{"hit / bare fiber", "miss / openssl speed (", " signs)", "bundle of 4", "rate_limits:", "id: premium", "X-Playgate-Cache"} {
		if !strings.Contains(report, want) {
			t.Errorf("the report does not mention %q:\n%s", want, report)
		}
	}
}
