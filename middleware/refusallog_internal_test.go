package middleware

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// lockedBuffer is written to by timers.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

// take returns what was written since the last time.
func (l *lockedBuffer) take() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	defer l.b.Reset()
	return l.b.String()
}

// TestAFloodOfRefusalsIsSummarized: fifty lines of each kind, and one line a
// second with the number of the others.
func TestAFloodOfRefusalsIsSummarized(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var out lockedBuffer
		l := refusalLog{logger: slog.New(slog.NewJSONHandler(&out, nil)), windows: map[refusal]*refusalWindow{}}
		flood := func(r refusal, level slog.Level, count int) (admitted int) {
			for range count {
				if l.admit(r, level) {
					admitted++
				}
			}
			return admitted
		}
		summaries := func() string {
			var texts []string
			for text := range strings.Lines(out.take()) {
				var line map[string]any
				if err := json.Unmarshal([]byte(text), &line); err != nil {
					t.Fatal(err)
				}
				texts = append(texts, fmt.Sprint(line["level"], " ", line["msg"], " ", line["code"], " ", line["environment"], " ", line["count"]))
			}
			return strings.Join(texts, "\n")
		}
		want := func(text string) {
			t.Helper()
			if got := summaries(); got != text {
				t.Errorf("summaries %q, want %q", got, text)
			}
		}
		acme, beta := refusal{"acme", "rate_limited"}, refusal{"beta", "rate_limited"}
		if n := flood(acme, slog.LevelInfo, 1000); n != 50 {
			t.Errorf("%d were logged, want 50", n)
		}
		if n := flood(beta, slog.LevelInfo, 50); n != 50 {
			t.Errorf("of another environment %d were logged, want 50", n)
		}
		want("")
		time.Sleep(time.Second)
		synctest.Wait()
		want("INFO refusals suppressed rate_limited acme 950")
		if n := flood(acme, slog.LevelInfo, 50); n != 50 {
			t.Errorf("in the next second %d were logged, want 50", n)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		want("")
		if len(l.windows) != 0 {
			t.Errorf("%d windows stay", len(l.windows))
		}
		none := refusal{"", "invalid_request"}
		flood(none, slog.LevelInfo, 60)
		flood(none, slog.LevelError, 1)
		l.flush()
		want("ERROR refusals suppressed invalid_request <nil> 11")
		time.Sleep(time.Minute)
		synctest.Wait()
		want("")
	})
}
