package telemetry_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/playgate/playgate/telemetry"
)

// reader is a writer whose reader can stop reading, as that of a pipe can.
type reader struct {
	mu      sync.Mutex
	text    bytes.Buffer
	stopped chan struct{} // nil: it reads; a write waits until it is closed
	err     error         // what writes fail with
	largest int
}

func (r *reader) Write(p []byte) (int, error) {
	r.mu.Lock()
	stopped := r.stopped
	r.mu.Unlock()
	if stopped != nil {
		<-stopped
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.err != nil {
		n := len(p) / 3
		r.text.Write(p[:n])
		return n, r.err
	}
	r.largest = max(r.largest, len(p))
	return r.text.Write(p)
}

func (r *reader) stop() (resume func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	stopped := make(chan struct{})
	r.stopped = stopped
	return func() {
		r.mu.Lock()
		r.stopped = nil
		r.mu.Unlock()
		close(stopped)
	}
}

func (r *reader) fail(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.err = err
}

// lines returns what was read, and fails where a line is not whole.
func (r *reader) lines(t *testing.T) (all []map[string]any) {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	for text := range strings.Lines(r.text.String()) {
		var line map[string]any
		if err := json.Unmarshal([]byte(text), &line); err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		all = append(all, line)
	}
	return all
}

func open(w io.Writer, change ...func(*telemetry.Config)) (*telemetry.Log, *prometheus.Registry) {
	registry := prometheus.NewRegistry()
	cfg := telemetry.Config{Writer: w, Format: "json", Level: slog.LevelDebug, Now: time.Now, Registerer: registry}
	for _, c := range change {
		c(&cfg)
	}
	return telemetry.Open(cfg), registry
}

func closed(t *testing.T, l *telemetry.Log) {
	t.Helper()
	if err := l.Close(t.Context()); err != nil {
		t.Error(err)
	}
}

// dropped checks how many lines were dropped of debug, info, warn and error.
func dropped(t *testing.T, registry *prometheus.Registry, want string) {
	t.Helper()
	families, err := registry.Gather()
	if err != nil || len(families) != 1 || families[0].GetName() != "playgate_log_dropped_total" {
		t.Fatalf("metrics %v, %v", families, err)
	}
	count := map[string]float64{}
	for _, m := range families[0].GetMetric() {
		count[m.GetLabel()[0].GetValue()] = m.GetCounter().GetValue()
	}
	if got := fmt.Sprint(count["debug"], count["info"], count["warn"], count["error"]); got != want {
		t.Errorf("dropped %s, want %s", got, want)
	}
}

func TestLinesComeInOrderAndWhole(t *testing.T) {
	t.Parallel()
	var r reader
	l, registry := open(&r)
	log := l.Logger().With("who", "a").WithGroup("in")
	long := strings.Repeat("x", 10_000)
	for n := range 1000 {
		log.Log(t.Context(), []slog.Level{slog.LevelDebug, slog.LevelInfo, slog.LevelWarn, slog.LevelError}[n%4], "line", "n", n)
	}
	log.Info("line", "n", 1000, "long", long)
	closed(t, l)
	lines := r.lines(t)
	if len(lines) != 1001 {
		t.Fatalf("%d lines, want 1001", len(lines))
	}
	for n, line := range lines {
		if in, ok := line["in"].(map[string]any); !ok || in["n"] != float64(n) || line["who"] != "a" {
			t.Fatalf("line %d is %v", n, line)
		}
	}
	dropped(t, registry, "0 0 0 0")
	log.Error("after the end")
	dropped(t, registry, "0 0 0 1")
}

// TestAWriteIsAtomicInAPipe: the decision log may go to the same pipe.
func TestAWriteIsAtomicInAPipe(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var r reader
		l, _ := open(&r)
		resume := r.stop()
		for n := range 500 {
			l.Logger().Info("line", "n", n)
		}
		synctest.Wait()
		resume()
		closed(t, l)
		if len(r.lines(t)) != 500 || r.largest > 4096 {
			t.Errorf("%d lines in writes of up to %d bytes, want 500 and 4096", len(r.lines(t)), r.largest)
		}
	})
}

// TestAReaderThatStopsDelaysNobody: the lines that do not fit are dropped, the
// least severe first.
func TestAReaderThatStopsDelaysNobody(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var r reader
		l, registry := open(&r, func(c *telemetry.Config) { c.MaxLines = 100 })
		resume := r.stop()
		log := l.Logger()
		flood := func(level slog.Level) {
			for range 100 {
				log.Log(t.Context(), level, "flood", "level_of", level.String())
			}
		}
		began := time.Now()
		for _, level := range []slog.Level{slog.LevelDebug, slog.LevelInfo, slog.LevelWarn, slog.LevelError} {
			flood(level)
		}
		dropped(t, registry, "50 80 85 85")
		if waited := time.Since(began); waited != 0 { // in the bubble's time
			t.Errorf("logging waited for %v", waited)
		}
		if trouble := l.Trouble(); trouble != "" {
			t.Errorf("at once there is trouble: %s", trouble)
		}
		time.Sleep(12*time.Second + time.Millisecond)
		if trouble := l.Trouble(); !strings.HasPrefix(trouble, "the log is not read: a write has waited for 12s") {
			t.Errorf("trouble is %q", trouble)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := l.Close(ctx); !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "the last 100 lines") {
			t.Errorf("Close = %v", err)
		}
		resume()
		closed(t, l)
		if lines := r.lines(t); len(lines) != 101 || lines[100]["msg"] != "log lines were dropped" {
			t.Errorf("%d lines were written, want 100 and the number of the others: %v", len(lines), lines)
		}
		if trouble := l.Trouble(); trouble != "" {
			t.Errorf("trouble is %q", trouble)
		}
	})
}

func TestTheQueueIsBoundedInBytes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var r reader
		l, registry := open(&r, func(c *telemetry.Config) { c.MaxBytes = 10_000 })
		resume := r.stop()
		l.Logger().Error("too long", "text", strings.Repeat("x", 10_000))
		l.Logger().Info("longer than its share", "text", strings.Repeat("x", 8_000))
		l.Logger().Error("fits", "text", strings.Repeat("x", 8_000))
		dropped(t, registry, "0 1 0 1")
		resume()
		closed(t, l)
		if lines := r.lines(t); len(lines) != 2 || lines[0]["msg"] != "fits" || lines[1]["msg"] != "log lines were dropped" {
			t.Errorf("the log is %v", lines)
		}
	})
}

func TestTheLogSaysWhatItDropped(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var r reader
		l, _ := open(&r, func(c *telemetry.Config) { c.MaxLines = 10 })
		for range 2 {
			resume := r.stop()
			for range 20 {
				l.Logger().Info("flood")
				l.Logger().Warn("flood")
			}
			time.Sleep(time.Minute)
			resume()
			synctest.Wait()
		}
		closed(t, l)
		var reports []string
		for _, line := range r.lines(t) {
			if line["msg"] == "log lines were dropped" {
				reports = append(reports, fmt.Sprintf("%v %v %v", line["level"], line["info"], line["warn"]))
			}
		}
		if got := strings.Join(reports, "; "); got != "WARN 16 16; WARN 16 16" {
			t.Errorf("it says %q", got)
		}
	})
}

// TestAWriterThatFailsLosesLinesAndIsNamed, and nothing that is written after it
// recovers is glued to half a line.
func TestAWriterThatFailsLosesLinesAndIsNamed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var r reader
		l, registry := open(&r)
		r.fail(errors.New("broken pipe"))
		l.Logger().Warn("lost")
		l.Logger().Error("lost")
		synctest.Wait()
		dropped(t, registry, "0 0 1 1")
		if trouble := l.Trouble(); trouble != "the log cannot be written, and lines are dropped: broken pipe" {
			t.Errorf("trouble is %q", trouble)
		}
		r.fail(nil)
		time.Sleep(time.Second)
		l.Logger().Info("kept")
		closed(t, l)
		if trouble := l.Trouble(); trouble != "" {
			t.Errorf("trouble is %q", trouble)
		}
		var messages []string
		for text := range strings.Lines(r.text.String()) {
			var line map[string]any
			if json.Unmarshal([]byte(text), &line) == nil {
				messages = append(messages, fmt.Sprint(line["msg"]))
			}
		}
		if got := strings.Join(messages, ", "); got != "kept, log lines were dropped" { // and a third of each line that was lost
			t.Errorf("readable lines are %q in:\n%s", got, &r.text)
		}
	})
}

func TestALineNeverShowsATokenInsideAText(t *testing.T) {
	t.Parallel()
	const token = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJQIn0.c2ln"
	for _, format := range []string{"json", "text"} {
		var out bytes.Buffer
		l, _ := open(&out, func(c *telemetry.Config) { c.Format = format })
		l.Logger().Error("oops", "error", errors.New("get https://stream.mux.com/P.m3u8?token="+token+": refused"), "url", "/x?token="+token, "token", token)
		closed(t, l)
		if text := out.String(); strings.Contains(text, "eyJ") || !strings.Contains(text, "refused") {
			t.Errorf("%s: logged %s", format, text)
		}
	}
}

// TestRecordsPassEveryLevel, and have the share of the queue that errors have.
func TestRecordsPassEveryLevel(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var r reader
		level := new(slog.LevelVar)
		l, registry := open(&r, func(c *telemetry.Config) { c.Level, c.MaxLines = level, 10 })
		level.Set(slog.LevelError)
		l.Logger().Info("news")
		resume := r.stop()
		for range 10 {
			l.Records().Info("record")
		}
		dropped(t, registry, "0 0 0 0")
		resume()
		closed(t, l)
		if lines := r.lines(t); len(lines) != 10 || lines[0]["msg"] != "record" {
			t.Errorf("logged %v", lines)
		}
	})
}

func TestManyMayLog(t *testing.T) {
	t.Parallel()
	var r reader
	l, registry := open(&r)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 1000 {
				l.Logger().Info("line")
				_ = l.Trouble()
			}
		})
	}
	all.Wait()
	closed(t, l)
	dropped(t, registry, "0 0 0 0")
	if lines := r.lines(t); len(lines) != 8000 {
		t.Errorf("%d lines, want 8000", len(lines))
	}
}

func TestLastWordsAreNotWaitedFor(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var r reader
		w := telemetry.NewBounded(&r, time.Second)
		if n, err := w.Write([]byte("heard\n")); n != 6 || err != nil {
			t.Errorf("Write = %d, %v", n, err)
		}
		resume := r.stop()
		for range 3 {
			if _, err := w.Write([]byte("late\n")); !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("Write = %v", err)
			}
		}
		resume()
		synctest.Wait()
		if got := r.text.String(); got != "heard\nlate\n" {
			t.Errorf("written %q", got)
		}
	})
}

func BenchmarkLog(b *testing.B) {
	l, _ := open(io.Discard)
	log := l.Logger()
	b.ReportAllocs()
	for b.Loop() {
		log.LogAttrs(b.Context(), slog.LevelInfo, "request", slog.String("request_id", "0123456789"), slog.Int("status", 200), slog.Duration("duration", 1234))
	}
}
