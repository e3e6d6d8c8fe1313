package audit_test

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"sync"
	"testing"

	"github.com/playgate/playgate/audit"
	"github.com/playgate/playgate/playback"
)

// A line is put together from parts; it says what its record says, byte by byte.
func TestALineIsItsRecordInJSON(t *testing.T) {
	t.Parallel()
	for _, keep := range []bool{true, false} {
		var out bytes.Buffer
		l, stop := open(t, audit.Config{Sink: audit.NewStream(&out), Allow: 1, KeepInputs: keep})
		odd := decided()
		odd.Question.Viewer.Claims["note"] = "<b>&\u2028\"now\":\\ü"
		odd.Question.Params = playback.Params{{Name: "time", JSON: "10"}}
		none := &playback.Decided{Question: &playback.Question{}, Code: "invalid_param"}
		for _, d := range []*playback.Decided{decided(), refused(), odd, none} {
			l.Keep(d)
		}
		stop()
		lines := bytes.SplitAfter(out.Bytes(), []byte("\n"))
		if len(lines) != 5 {
			t.Fatalf("%d lines: %s", len(lines)-1, out.String())
		}
		for _, line := range lines[:4] {
			var r audit.Record
			if err := json.Unmarshal(line, &r); err != nil {
				t.Fatalf("%s: %v", line, err)
			}
			var again bytes.Buffer
			enc := json.NewEncoder(&again)
			enc.SetEscapeHTML(false)
			if err := enc.Encode(&r); err != nil {
				t.Fatal(err)
			}
			if again.String() != string(line) || (r.Inputs != nil) != keep {
				t.Errorf("keep %t: the line is\n%sand the record\n%s", keep, line, again.String())
			}
		}
	}
}

// counted is a sink that counts.
type counted struct{ waiting sync.WaitGroup }

func (c *counted) Write(_ context.Context, entries []audit.Entry) error {
	c.waiting.Add(-len(entries))
	return nil
}
func (*counted) Close(context.Context) error { return nil }

// BenchmarkRecord is one record from the decision to its line, without the file.
func BenchmarkRecord(b *testing.B) {
	sink := &counted{}
	l := audit.New(audit.Config{Sink: sink, KeepInputs: true, PseudonymKey: playback.NewSecret(key), Queue: 1 << 16, Logger: slog.New(slog.DiscardHandler)})
	d := refused()
	b.ReportAllocs()
	const batch = 256
	for n := 0; b.Loop(); n++ {
		if n%batch == 0 {
			sink.waiting.Wait() // nothing is dropped
		}
		sink.waiting.Add(1)
		l.Keep(d)
	}
	sink.waiting.Wait()
}
