package telemetry_test

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/playgate/playgate/telemetry"
)

func TestALimitedLoggerSaysWhatItLeftOut(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	now := time.Unix(1e9, 0)
	text := slog.NewTextHandler(&out, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey || a.Key == slog.LevelKey {
			return slog.Attr{}
		}
		return a
	}})
	log := telemetry.NewLimited(slog.New(text), 2, func() time.Time { return now })
	with := log.With("library", "l")
	for n := range 3 {
		log.Warn("one", "n", n)
		with.Warn("with", "n", n)
	}
	now = now.Add(time.Second)
	with.Warn("a second later")
	log.Warn("and after it")
	now = now.Add(-time.Hour)
	log.Warn("a clock that was set back")
	want := []string{
		`msg=one n=0`, `msg=with library=l n=0`, `msg="a second later" library=l left_out=4`, `msg="and after it"`,
		`msg="a clock that was set back"`,
	}
	if diff := cmp.Diff(want, strings.Split(strings.TrimSpace(out.String()), "\n")); diff != "" {
		t.Error(diff)
	}
}
