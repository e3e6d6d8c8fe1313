package audit_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/playgate/playgate/audit"
	"github.com/playgate/playgate/playback"
)

const key = "the key of the log"

var started = time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)

func decided() *playback.Decided {
	return &playback.Decided{
		Environment: "acme-prod", RequestID: "r1", Rule: "premium", Revision: "0123456789ab", Key: "K1", Exp: 1_800_000_000, Bound: "rule",
		Started: started, Latency: 1500 * time.Nanosecond,
		Question: &playback.Question{
			Viewer: &playback.Viewer{Issuer: "main", ID: "alice", Authenticated: true, Claims: map[string]any{"sub": "alice", "plan": "premium"}},
			Object: &playback.Object{ID: "PID1", Policy: playback.PolicySigned, Known: true, Asset: &playback.Asset{ID: "A1"}},
			Client: &playback.Client{Country: "DE"}, Type: playback.Video, Now: started,
		},
	}
}

func refused() *playback.Decided {
	d := decided()
	d.Rule, d.Code, d.Key, d.Exp, d.Bound = "embargo", "not_released", "", 0, ""
	return d
}

// open returns a log that writes into the buffer; stop waits until it has.
func open(t *testing.T, cfg audit.Config) (l *audit.Log, stop func()) {
	t.Helper()
	cfg.PseudonymKey, cfg.Logger = playback.NewSecret(key), slog.New(slog.DiscardHandler)
	if cfg.Queue == 0 {
		cfg.Queue = 1000
	}
	l = audit.New(cfg)
	return l, func() {
		if err := l.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	}
}

func TestARecordSaysEverythingButWho(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	l, stop := open(t, audit.Config{Sink: audit.NewStream(&out), KeepInputs: true})
	d := decided()
	l.Keep(d)
	*d.Question = playback.Question{} // the caller goes on
	stop()
	if strings.Contains(out.String(), "alice") {
		t.Errorf("the record names the viewer: %s", out.String())
	}
	name := audit.Pseudonym(playback.NewSecret(key), "acme-prod", "main", "alice")
	var got map[string]any
	if err := json.Unmarshal(out.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	if digest, _ := got["inputs_digest"].(string); len(digest) != 32 {
		t.Errorf("inputs_digest = %q, want 32 digits", digest)
	}
	delete(got, "inputs_digest")
	want := map[string]any{
		"time": "2026-06-01T12:00:00Z", "environment": "acme-prod", "request_id": "r1", "decision": "allow", "rule": "premium",
		"policy_revision": "0123456789ab", "playback_id": "PID1", "asset_id": "A1", "type": "video", "viewer_issuer": "main", "viewer": name,
		"country": "DE", "key_id": "K1", "expires_at": 1.8e9, "expires_by": "rule", "latency_us": 1.0,
		"inputs": map[string]any{
			"viewer":   map[string]any{"issuer": "main", "id": name, "authenticated": true, "claims": map[string]any{"sub": name, "plan": "premium"}},
			"playback": map[string]any{"id": "PID1", "policy": "signed", "known": true},
			"asset":    map[string]any{"id": "A1"},
			"request":  map[string]any{"type": "video", "country": "DE"},
			"now":      "2026-06-01T12:00:00Z",
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("record (-want +got):\n%s", diff)
	}
}

// TestARecordNamesTheVideoID, which is in no variable of the rules.
func TestARecordNamesTheVideoID(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	l, stop := open(t, audit.Config{Sink: audit.NewStream(&out), KeepInputs: true})
	d := decided()
	d.Question.Object, d.Question.Type = &playback.Object{VideoID: "film/1"}, playback.StatsVideo
	l.Keep(d)
	stop()
	var r audit.Record
	if err := json.Unmarshal(out.Bytes(), &r); err != nil {
		t.Fatal(err)
	}
	if r.VideoID != "film/1" || r.PlaybackID != "" || r.Type != "stats_video" || !strings.Contains(r.Text(), " video_id=film/1 ") {
		t.Errorf("record = %s, text %s", out.String(), r.Text())
	}
	if r.Inputs.Playback == nil || *r.Inputs.Playback != (playback.IDInputs{}) {
		t.Errorf("inputs = %s", out.String())
	}
}

func TestDigestsAreEqualForEqualQuestionsOnly(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	l, stop := open(t, audit.Config{Sink: audit.NewStream(&out)})
	later, elsewhere := decided(), decided()
	later.Question.Now = started.Add(time.Hour)
	elsewhere.Question.Client.Country = "AT"
	for _, d := range []*playback.Decided{decided(), later, elsewhere} {
		l.Keep(d)
	}
	stop()
	var digests []string
	_, err := audit.Read(&out, audit.Filter{}, func(r *audit.Record, _ []byte) error {
		if r.Inputs != nil {
			t.Error("the record has inputs")
		}
		digests = append(digests, r.InputsDigest)
		return nil
	})
	if err != nil || len(digests) != 3 || digests[0] != digests[1] || digests[0] == digests[2] {
		t.Errorf("digests %q, %v, want the first two equal", digests, err)
	}
}

func TestSamplingIsByRuleAndRefusalsAreAlwaysKept(t *testing.T) {
	t.Parallel()
	draws := uint32(0)
	l, stop := open(t, audit.Config{
		Sink: audit.NewStream(io.Discard), Allow: 4, Rand: func(n uint32) uint32 { draws++; return draws % n },
		Rules: []audit.RuleSampling{{Rule: "all", Sampling: 1}, {Rule: "none"}, {Environment: "acme-prod", Rule: "none", Sampling: 2}},
	})
	defer stop()
	for _, c := range []struct {
		env     playback.EnvironmentID
		rule    string
		allowed bool
		want    int
	}{
		{"acme-prod", "premium", true, 25},
		{"acme-prod", "premium", false, 100},
		{"acme-prod", "all", true, 100},
		{"globex-prod", "none", true, 0},
		{"globex-prod", "none", false, 100},
		{"acme-prod", "none", true, 50},
	} {
		got := 0
		for range 100 {
			if l.Wants(c.env, c.rule, c.allowed) {
				got++
			}
		}
		if got != c.want {
			t.Errorf("Wants(%s, %s, %t) = %d times of 100, want %d", c.env, c.rule, c.allowed, got, c.want)
		}
	}
}

// stuck is a sink that does not come back until it is let go.
type stuck struct {
	entered chan struct{}
	let     chan struct{}
}

func (s stuck) Write(context.Context, []audit.Entry) error {
	s.entered <- struct{}{}
	<-s.let
	return io.ErrClosedPipe
}

func (stuck) Close(context.Context) error { return nil }

func TestRecordsSayWhatTheyStandForAndWhatWasNotLookedUp(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	l, stop := open(t, audit.Config{Sink: audit.NewStream(&out), Allow: 50, KeepInputs: true})
	d := decided()
	d.Unread, d.Question.Client.Referrer, d.Question.Client.Origin = []string{"grants"}, "https://a.example/watch?q=secret#x", "https://a.example#x"
	l.Keep(d)
	l.Keep(refused())
	stop()
	var got []string
	_, err := audit.Read(&out, audit.Filter{}, func(r *audit.Record, _ []byte) error {
		got = append(got, fmt.Sprint(r.Weight, r.Unread, r.Inputs.Request.Referrer, " ", r.Inputs.Request.Origin))
		return nil
	})
	if diff := cmp.Diff([]string{"50 [grants]https://a.example/watch https://a.example", "0 [] "}, got); diff != "" || err != nil {
		t.Errorf("records (-want +got):\n%s%v", diff, err)
	}
}

func TestARestartBeginsALineOfItsOwn(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "decisions.log")
	if err := os.WriteFile(path, []byte("{\"rule\":\"a\"}\n{\"ru"), 0o600); err != nil {
		t.Fatal(err)
	}
	sink, err := audit.OpenFile(audit.FileConfig{Path: path, MaxSize: 1000, Keep: 1})
	if err == nil {
		err = sink.Write(t.Context(), []audit.Entry{{Line: []byte("{\"rule\":\"b\"}\n")}})
	}
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if want := "{\"rule\":\"a\"}\n{\"ru\n{\"rule\":\"b\"}\n"; err != nil || string(text) != want {
		t.Errorf("file %q, %v, want %q", text, err, want)
	}
}

func TestAFullQueueDropsAndCounts(t *testing.T) {
	t.Parallel()
	registry := prometheus.NewRegistry()
	sink := stuck{make(chan struct{}, 10), make(chan struct{})}
	l, stop := open(t, audit.Config{Sink: sink, Queue: 2, Registerer: registry})
	l.Keep(refused())
	<-sink.entered
	for range 5 { // two fit
		l.Keep(refused())
	}
	close(sink.let)
	stop()
	l.Keep(refused()) // after the end
	if diff := cmp.Diff(map[string]float64{"written": 0, "dropped": 4, "failed": 3}, results(t, registry)); diff != "" {
		t.Errorf("results (-want +got):\n%s", diff)
	}
}

func results(t *testing.T, registry *prometheus.Registry) map[string]float64 {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for _, m := range families[0].GetMetric() {
		got[m.GetLabel()[0].GetValue()] = m.GetCounter().GetValue()
	}
	return got
}

func TestFilesAreRotatedBySizeAndKeepEveryRecord(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "decisions.log")
	const records = 40
	write := func(from, to int) {
		sink, err := audit.OpenFile(audit.FileConfig{Path: path, MaxSize: 4000, Keep: 100})
		if err != nil {
			t.Fatal(err)
		}
		l, stop := open(t, audit.Config{Sink: sink})
		for i := from; i < to; i++ {
			d := refused()
			d.RequestID = fmt.Sprint("r", i)
			l.Keep(d)
		}
		stop()
	}
	write(0, records/2)
	write(records/2, records) // a restart goes on with the same file
	files, err := filepath.Glob(path + "*")
	if err != nil || len(files) < 3 {
		t.Fatalf("files %q, %v, want several", files, err)
	}
	var seen []string
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		info, _ := os.Stat(file)
		if len(text) > 4000 || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %d bytes, %s, want at most 4000 and only the owner's", file, len(text), info.Mode())
		}
		if _, err := audit.Read(bytes.NewReader(text), audit.Filter{}, func(r *audit.Record, _ []byte) error {
			seen = append(seen, r.RequestID)
			return nil
		}); err != nil {
			t.Error(err)
		}
	}
	slices.Sort(seen)
	if len(seen) != records || len(slices.Compact(seen)) != records {
		t.Errorf("%d records, want %d, each once", len(seen), records)
	}
}

func TestOnlyAsManyFilesAreKeptAsAreWanted(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "decisions.log")
	sink, err := audit.OpenFile(audit.FileConfig{Path: path, MaxSize: 10, Keep: 2})
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{"0123456789\n", "1\n", "2\n", "3456789012\n", "4\n"} {
		if err := sink.Write(t.Context(), []audit.Entry{{Line: []byte(line)}}); err != nil {
			t.Fatal(err)
		}
	}
	if err := sink.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	files, _ := filepath.Glob(path + "*")
	for _, f := range files {
		text, _ := os.ReadFile(f)
		got[strings.TrimPrefix(f, path)] = string(text)
	}
	if diff := cmp.Diff(map[string]string{"": "4\n", ".1": "3456789012\n", ".2": "1\n2\n"}, got); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
}

func TestFollowGoesOnOverRotations(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "decisions.log")
	sink, err := audit.OpenFile(audit.FileConfig{Path: path, MaxSize: 200, Keep: 100})
	if err != nil {
		t.Fatal(err)
	}
	entry := func(i int, rule string) []audit.Entry {
		return []audit.Entry{{Line: fmt.Appendf(nil, `{"rule":%q,"request_id":"r%d"}`+"\n", rule, i)}}
	}
	for i := range 3 {
		if err := sink.Write(t.Context(), entry(i, "a")); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	var mu sync.Mutex
	var seen []string
	count := func() int {
		mu.Lock()
		defer mu.Unlock()
		return len(seen)
	}
	ready := make(chan struct{})
	done := make(chan error)
	go func() {
		_, err := audit.Tail{Path: path, Last: 2, Filter: audit.Filter{Rule: "a"}}.Follow(ctx, func(r *audit.Record, _ []byte) error {
			mu.Lock()
			defer mu.Unlock()
			if seen = append(seen, r.RequestID); len(seen) == 2 {
				close(ready)
			}
			if len(seen) == 12 {
				cancel()
			}
			return nil
		})
		done <- err
	}()
	<-ready
	for i := 3; i < 13; i++ { // some of these begin a new file
		for _, rule := range []string{"a", "b"} {
			if err := sink.Write(t.Context(), entry(i, rule)); err != nil {
				t.Fatal(err)
			}
		}
		for ctx.Err() == nil && count() < i { // not faster than somebody looks: one rotation is seen at a time
			runtime.Gosched()
		}
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
	want := []string{"r1", "r2", "r3", "r4", "r5", "r6", "r7", "r8", "r9", "r10", "r11", "r12"}
	if diff := cmp.Diff(want, seen); diff != "" {
		t.Errorf("followed (-want +got):\n%s", diff)
	}
}

func TestFilters(t *testing.T) {
	t.Parallel()
	r := audit.Record{
		Time: started, Environment: "acme-prod", RequestID: "r1", Decision: audit.Deny, Rule: "embargo", Reason: "not_released",
		Revision: "0123456789ab", PlaybackID: "PID1", AssetID: "A1", Type: "video", Viewer: "v", Country: "DE",
	}
	line, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		filter audit.Filter
		want   bool
	}{
		"everything":            {audit.Filter{}, true},
		"all that it is":        {audit.Filter{Environment: "acme-prod", Decision: "deny", Rule: "embargo", Reason: "not_released", PlaybackID: "PID1", AssetID: "A1", Type: "video", Viewer: "v", Country: "DE", RequestID: "r1", Revision: "0123"}, true},
		"another rule":          {audit.Filter{Rule: "premium"}, false},
		"another revision":      {audit.Filter{Revision: "1123"}, false},
		"since then":            {audit.Filter{Since: started}, true},
		"since a moment later":  {audit.Filter{Since: started.Add(1)}, false},
		"until then":            {audit.Filter{Until: started}, false},
		"a text that is there":  {audit.Filter{Text: `"country":"DE"`}, true},
		"a text that is not":    {audit.Filter{Text: "AT"}, false},
		"what was allowed only": {audit.Filter{Decision: "allow"}, false},
	} {
		if got := c.filter.Matches(&r, line); got != c.want {
			t.Errorf("%s: %t, want %t", name, got, c.want)
		}
	}
}

func TestReadLeavesOutLinesThatAreNoRecords(t *testing.T) {
	t.Parallel()
	log := "{\"rule\":\"a\"}\n\nnot a record\n{\"rule\":\"a\"," + strings.Repeat("x", 1<<20) + "\n{\"rule\":\"b\"}\n{\"ru"
	var rules []string
	bad, err := audit.Read(strings.NewReader(log), audit.Filter{}, func(r *audit.Record, _ []byte) error {
		rules = append(rules, r.Rule)
		return nil
	})
	if err != nil || bad != 2 || !slices.Equal(rules, []string{"a", "b"}) {
		t.Errorf("Read = %q, %d bad lines, %v, want a and b, and 2", rules, bad, err)
	}
	stop := io.ErrClosedPipe
	if _, err := audit.Read(strings.NewReader(log), audit.Filter{}, func(*audit.Record, []byte) error { return stop }); err == nil || err.Error() != "line 1: "+stop.Error() {
		t.Errorf("Read = %v, want the visitor's error and the line", err)
	}
}

// writes is a sink that notes how many records came together.
type writes chan int

func (w writes) Write(_ context.Context, entries []audit.Entry) error {
	w <- len(entries)
	return nil
}

func (writes) Close(context.Context) error { return nil }

// TestRecordsAreGathered for a sink to which each time is dear, no longer than
// that, and not at the end.
func TestRecordsAreGathered(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		sink := make(writes, 10)
		l, stop := open(t, audit.Config{Sink: sink, Gather: time.Second})
		began := time.Now()
		for range 3 {
			l.Keep(refused())
			time.Sleep(300 * time.Millisecond)
		}
		if n := <-sink; n != 3 || time.Since(began) != time.Second {
			t.Errorf("%d records came after %s, want 3 after a second", n, time.Since(began))
		}
		for range 300 {
			l.Keep(refused())
		}
		if n := <-sink; n != 256 || time.Since(began) != time.Second {
			t.Errorf("%d records came after %s, want 256 at once", n, time.Since(began))
		}
		stop()
		if n := <-sink; n != 44 || time.Since(began) != time.Second {
			t.Errorf("%d records came after %s, want the rest at the end", n, time.Since(began))
		}
	})
}
