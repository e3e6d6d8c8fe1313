package catalog_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/playgate/playgate/catalog"
	"github.com/playgate/playgate/muxsim"
	"github.com/playgate/playgate/playback"
	"github.com/playgate/playgate/store"
)

func secrets(texts ...string) []playback.Secret {
	var out []playback.Secret
	for _, s := range texts {
		out = append(out, playback.NewSecret(s))
	}
	return out
}

// TestMuxsVectors: those of Mux's own SDKs.
func TestMuxsVectors(t *testing.T) {
	t.Parallel()
	for _, v := range []struct {
		at        int64
		body, mac string
	}{
		{1565125718, `{"test":"body"}`, "854ece4c22acef7c66b57d4e504153bc512595e8e9c772ece2a68150548c19a7"},
		{1591664030, `payload`, "e43496b6aae982c4c2fd6f8e92935f1d90216f1f64d56024e72390acfb988272"},
		{1565125718, `{"test":{"nested":{"nanos":718234, "seconds":1691711005}}}`, "bd315c24bce1c2b8ad325696f26530c8ef7d7d830afb7c1381903705d04607be"},
	} {
		header := fmt.Sprintf("t=%d,v1=%s", v.at, v.mac)
		notBefore := time.Unix(v.at, 0)
		if err := catalog.VerifySignature(header, []byte(v.body), secrets("SuperSecret123"), notBefore); err != nil {
			t.Errorf("%s: %v", v.body, err)
		}
		if got := muxsim.SignWebhook([]byte(v.body), notBefore, "SuperSecret123"); got != header {
			t.Errorf("the simulator signs %s, want %s", got, header)
		}
	}
}

func TestSignatures(t *testing.T) {
	t.Parallel()
	body := []byte(`{"a":1}`)
	at := time.Unix(1_700_000_000, 0)
	good := muxsim.SignWebhook(body, at, "s1")
	_, mac, _ := strings.Cut(good, ",v1=")
	for name, c := range map[string]struct {
		header  string
		secrets []string
		late    time.Duration
		ok      bool
	}{
		"good":                               {good, []string{"s1"}, 0, true},
		"the second secret":                  {good, []string{"s0", "s1"}, 0, true},
		"the second signature":               {muxsim.SignWebhook(body, at, "other", "s1"), []string{"s1"}, 0, true},
		"several of both":                    {muxsim.SignWebhook(body, at, "x", "y", "s2"), []string{"s1", "s2"}, 0, true},
		"as old as may be":                   {good, []string{"s1"}, 300 * time.Second, true},
		"a clock that is ahead":              {good, []string{"s1"}, -time.Hour, true},
		"spaces":                             {strings.ReplaceAll(good, ",", ", "), []string{"s1"}, 0, true},
		"an unknown scheme beside":           {good + ",v2=abc", []string{"s1"}, 0, true},
		"six minutes old":                    {good, []string{"s1"}, 6 * time.Minute, false},
		"another secret":                     {good, []string{"s2"}, 0, false},
		"no secret":                          {good, nil, 0, false},
		"no header":                          {"", []string{"s1"}, 0, false},
		"no time":                            {"v1=" + mac, []string{"s1"}, 0, false},
		"two times":                          {good + ",t=" + fmt.Sprint(at.Unix()+9), []string{"s1"}, 0, false},
		"a time that is none":                {"t=now,v1=" + mac, []string{"s1"}, 0, false},
		"another time":                       {fmt.Sprintf("t=%d,v1=%s", at.Unix()+1, mac), []string{"s1"}, 0, false},
		"an unknown scheme alone":            {fmt.Sprintf("t=%d,v2=%s", at.Unix(), mac), []string{"s1"}, 0, false},
		"cut short":                          {good[:len(good)-2], []string{"s1"}, 0, false},
		"not hexadecimal":                    {fmt.Sprintf("t=%d,v1=%s", at.Unix(), strings.Repeat("z", 64)), []string{"s1"}, 0, false},
		"the secret of a signature of none":  {fmt.Sprintf("t=%d,v1=", at.Unix()), []string{""}, 0, false},
		"more signatures than are looked at": {fmt.Sprintf("t=%d%s,v1=%s", at.Unix(), strings.Repeat(",v1="+strings.Repeat("00", 32), 16), mac), []string{"s1"}, 0, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			notBefore := at.Add(c.late).Add(-300 * time.Second)
			err := catalog.VerifySignature(c.header, body, secrets(c.secrets...), notBefore)
			if (err == nil) != c.ok || err != nil && !errors.Is(err, catalog.ErrSignature) {
				t.Errorf("VerifySignature = %v, want good: %v", err, c.ok)
			}
		})
	}
	if catalog.VerifySignature(good, []byte(`{"a": 1}`), secrets("s1"), at) == nil {
		t.Error("another body passes")
	}
}

func TestWhatAnEventMeans(t *testing.T) {
	t.Parallel()
	at := time.Unix(1_700_000_000, 0)
	asset := map[string]any{"id": "A1", "status": "ready", "playback_ids": []any{map[string]any{"id": "P1", "policy": "signed"}}}
	for _, c := range []struct {
		kind, object string
		data         map[string]any
		want         catalog.EventOutcome
		asked        string
	}{
		{"video.asset.created", "A1", asset, catalog.EventApplied, ""},
		{"video.asset.ready", "A1", asset, catalog.EventApplied, ""},
		{"video.asset.live_stream_completed", "A1", asset, catalog.EventApplied, ""},
		{"video.asset.deleted", "A1", map[string]any{}, catalog.EventApplied, ""},
		{"video.live_stream.disabled", "L1", map[string]any{"id": "L1", "status": "disabled"}, catalog.EventApplied, ""},
		{"video.live_stream.deleted", "L1", map[string]any{"id": "L1"}, catalog.EventApplied, ""},
		{"video.asset.track.ready", "A1", map[string]any{"id": "T1"}, catalog.EventChecked, "asset A1"},
		{"video.asset.static_renditions.ready", "A1", asset, catalog.EventChecked, "asset A1"},
		{"video.asset.updated", "A1", map[string]any{"id": "A2"}, catalog.EventChecked, "asset A1"}, // data of something else
		{"video.live_stream.warning", "L1", map[string]any{"id": "L1"}, catalog.EventChecked, "live_stream L1"},
		{"video.upload.asset_created", "U1", map[string]any{"id": "U1", "asset_id": "A7"}, catalog.EventChecked, "asset A7"},
		{"video.upload.asset_created", "U1", map[string]any{"id": "U1"}, catalog.EventIgnored, ""},
		{"video.upload.created", "U1", map[string]any{"id": "U1"}, catalog.EventIgnored, ""},
		{"video.delivery.high_traffic", "X", map[string]any{}, catalog.EventIgnored, ""},
		{"robots.job.moderate.completed", "X", map[string]any{}, catalog.EventIgnored, ""},
		{"video.space.created", "X", nil, catalog.EventIgnored, ""},
		{"video.asset.ready", "A/1", map[string]any{"id": "A/1"}, catalog.EventIgnored, ""},
	} {
		t.Run(c.kind+" "+c.object, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, nil)
			w.inbox.Outbox = w.records
			body := event("e1", c.kind, c.object, at, c.data)
			for _, want := range []catalog.EventOutcome{c.want, catalog.EventDuplicate} {
				if c.want == catalog.EventIgnored {
					want = catalog.EventIgnored
				}
				got, err := w.inbox.Take(t.Context(), body)
				if err != nil || got != want {
					t.Errorf("Take = %s, %v, want %s", got, err, want)
				}
			}
			if got := w.jobs(t); got != c.asked {
				t.Errorf("Mux is asked about %q, want %q", got, c.asked)
			}
		})
	}
}

func TestWhatIsNoEventIsRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	at := time.Unix(1_700_000_000, 0)
	ready := func(change func(map[string]any)) []byte {
		data := map[string]any{"id": "A1", "status": "ready"}
		change(data)
		return event("e1", "video.asset.ready", "A1", at, data)
	}
	for name, body := range map[string][]byte{
		"nothing":         nil,
		"no JSON":         []byte("hello"),
		"an array":        []byte("[]"),
		"an empty object": []byte("{}"),
		"no ID":           event("", "video.asset.ready", "A1", at, nil),
		"an ID with NUL":  event("e\x00", "video.asset.ready", "A1", at, nil),
		"a huge ID":       event(strings.Repeat("e", 129), "video.asset.ready", "A1", at, nil),
		"no type":         event("e1", "", "A1", at, nil),
		"no time":         event("e1", "video.asset.ready", "A1", time.Time{}, nil),
		"a wrong member":  ready(func(d map[string]any) { d["duration"] = "long" }),
		"huge metadata":   ready(func(d map[string]any) { d["meta"] = map[string]any{"t": strings.Repeat("x", 300<<10)} }),
	} {
		if got, err := w.inbox.Take(t.Context(), body); !errors.Is(err, catalog.ErrEvent) {
			t.Errorf("%s: Take = %s, %v", name, got, err)
		}
	}
	other := []byte(strings.Replace(string(ready(func(map[string]any) {})), "mux1", "mux2", 1))
	if _, err := w.inbox.Take(t.Context(), other); !errors.Is(err, catalog.ErrEventEnvironment) {
		t.Errorf("another environment's: %v", err)
	}
	w.inbox.MuxEnvironment = ""
	if got, err := w.inbox.Take(t.Context(), other); err != nil || got != catalog.EventApplied {
		t.Errorf("where no environment is configured: %s, %v", got, err)
	}
	if _, err := w.inbox.Take(t.Context(), ready(func(map[string]any) {})); err != nil {
		t.Error(err)
	}
	if got, err := w.inbox.Take(t.Context(), event("older", "video.asset.ready", "A1", at.Add(-time.Second), map[string]any{"id": "A1"})); err != nil || got != catalog.EventStale {
		t.Errorf("an older event: %s, %v", got, err)
	}
}

// TestAnEventWithoutRoomIsNotTaken: what it leaves to be done cannot be kept, so
// Mux must send it again.
func TestAnEventWithoutRoomIsNotTaken(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.inbox.Outbox = w.records
	at := time.Unix(1_700_000_000, 0)
	full := store.JobBatch{Max: 1 << 30, Now: time.Now()}
	for n := range 10_000 {
		full.Jobs = append(full.Jobs, store.Job{Environment: env, Kind: catalog.CheckJob, Key: fmt.Sprint("asset B", n)})
	}
	must(t, w.records.AddJobs(t.Context(), full))
	track := event("e1", "video.asset.track.ready", "A1", at, map[string]any{"id": "T1"})
	if got, err := w.inbox.Take(t.Context(), track); !errors.Is(err, store.ErrOutboxFull) {
		t.Errorf("Take = %s, %v, want ErrOutboxFull", got, err)
	}
	if got, err := w.inbox.Take(t.Context(), event("e2", "video.asset.track.ready", "B1", at, nil)); err != nil || got != catalog.EventChecked {
		t.Errorf("of an object that is to be asked about: %s, %v", got, err)
	}
	for i, status := range []string{"ready", "errored"} { // it says all that is to be known
		body := event(fmt.Sprint("t", i), "video.asset."+status, "A2", at, map[string]any{"id": "A2", "status": status})
		if got, err := w.inbox.Take(t.Context(), body); err != nil || got != catalog.EventApplied {
			t.Errorf("a tie: %s, %v", got, err)
		}
	}
	done, _, err := w.records.ClaimJob(t.Context(), store.JobClaim{Environment: env, Kinds: []string{catalog.CheckJob}, Owner: "test", Lease: time.Hour, Now: time.Now()})
	must(t, err)
	must(t, w.records.FinishJob(t.Context(), "test", &done, time.Now()))
	if got, err := w.inbox.Take(t.Context(), track); err != nil || got != catalog.EventChecked {
		t.Errorf("sent again when there is room: %s, %v, want checked", got, err)
	}
}

// TestWhatAWebhookLeavesOutlivesTheProcess: the process that took it ends before
// it has asked Mux, and the next one asks.
func TestWhatAWebhookLeavesOutlivesTheProcess(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.inbox.Outbox = w.records // and nobody does the jobs
	must(t, w.SetAsset("mux1", film("A1", "P1")))
	_, err := w.records.ClaimSync(t.Context(), env, store.SyncClaim{Now: time.Now(), Until: time.Now().Add(time.Hour)}) // nobody reads everything
	must(t, err)
	if got := w.hear(t, "video.asset.track.ready", "A1"); got != catalog.EventChecked {
		t.Fatalf("outcome %s", got)
	}
	next := worldOf(t, w.records, env)
	next.server = w.server
	next.work(t, next.sync(t))
	eventually(t, "the asset is known", func() bool { _, ok := next.view(t).Lookup("P1"); return ok })
	eventually(t, "the job is done", func() bool {
		due, err := w.records.DueJobs(t.Context(), time.Now().Add(time.Hour))
		return err == nil && len(due) == 0
	})
}
