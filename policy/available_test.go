package policy_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/playgate/playgate/playback"
	"github.com/playgate/playgate/policy"
)

func TestRefusalsSayFromWhenOnlyIfTimeAloneIsMissing(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC)
	released := time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)
	meta := &playback.Object{Asset: &playback.Asset{Meta: map[string]any{"release_at": "2027-01-01T00:00:00Z"}}}
	for name, c := range map[string]struct {
		rules  string
		object *playback.Object
		want   time.Time
	}{
		"an embargo": {
			`{id: e, effect: deny, when: 'now < timestamp("2027-01-01T00:00:00Z")'}, {id: a, effect: allow, when: true}`, nil, released,
		},
		"the last second of an embargo": {
			`{id: e, effect: deny, when: 'now <= timestamp("2027-01-01T00:00:00Z")'}, {id: a, effect: allow, when: true}`, nil, released.Add(time.Second),
		},
		"a date in the asset's meta, an hour early": {
			`{id: a, effect: allow, when: 'now + duration("1h") >= timestamp(asset.meta.?release_at.orValue("1970-01-01T00:00:00Z"))'}`, meta, released.Add(-time.Hour),
		},
		"an embargo for somebody who may not see it then either": {
			`{id: e, effect: deny, when: 'now < timestamp("2027-01-01T00:00:00Z")'}, {id: a, effect: allow, when: viewer.authenticated}`, nil, time.Time{},
		},
		"a window that is over": {
			`{id: a, effect: allow, when: 'now < timestamp("2026-01-01T00:00:00Z")'}`, nil, time.Time{},
		},
		"the second of two embargoes": {
			`{id: e, effect: deny, when: 'now < timestamp("2026-07-01T00:00:00Z")'}, {id: f, effect: deny, when: 'timestamp("2027-01-01T00:00:00Z") > now'}, {id: a, effect: allow, when: true}`, nil, released,
		},
		"a question of who": {`{id: a, effect: allow, when: viewer.authenticated}`, nil, time.Time{}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, err := policy.Compile([]byte("version: 1\nrules: ["+c.rules+"]\n"), policy.Options{})
			if err != nil {
				t.Fatal(err)
			}
			d := p.Consider(&playback.Question{Now: now, Object: c.object})
			if d.Refusal == nil || !d.Refusal.AvailableFrom.Equal(c.want) {
				t.Fatalf("AvailableFrom = %v, want %v", d.Refusal, c.want)
			}
			if c.want.IsZero() {
				return
			}
			if then := p.Decide(&playback.Question{Now: c.want, Object: c.object}); then.Refusal != nil {
				t.Errorf("Decide then = %v, want allowed", then.Refusal)
			}
			if before := p.Decide(&playback.Question{Now: c.want.Add(-time.Second), Object: c.object}); before.Refusal == nil {
				t.Error("Decide a second before = allowed, want refused")
			}
		})
	}
}

func TestRefusalsPromiseNothingThatARightMayNotOutlive(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC)
	released := now.Add(24 * time.Hour)
	p, err := policy.Compile([]byte(`version: 1
rules:
  - {id: e, effect: deny, when: 'now < timestamp("2026-06-02T00:00:00Z")'}
  - {id: a, effect: allow, when: 'size(viewer.grants) > 0'}
`), policy.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for until, want := range map[time.Time]time.Time{released: {}, released.Add(time.Hour): released} {
		q := playback.Question{Now: now, Grants: []playback.Held{{ID: "g", Type: playback.HeldTicket, Until: until}}}
		if d := p.Consider(&q); d.Refusal == nil || !d.Refusal.AvailableFrom.Equal(want) {
			t.Errorf("a right until %v: %+v, want %v", until, d.Refusal, want)
		}
	}
}

func TestTheFirstOfManyMomentsIsFound(t *testing.T) {
	t.Parallel()
	text := "version: 1\nrules:\n"
	for year := 2100; year > 2030; year-- {
		text += fmt.Sprintf("  - {id: y%d, effect: allow, when: 'now >= timestamp(\"%d-01-01T00:00:00Z\")'}\n", year, year)
	}
	p, err := policy.Compile([]byte(text), policy.Options{})
	if err != nil {
		t.Fatal(err)
	}
	q := playback.Question{Now: time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC)}
	want := time.Date(2031, 1, 1, 0, 0, 0, 0, time.UTC)
	if d := p.Consider(&q); d.Refusal == nil || !d.Refusal.AvailableFrom.Equal(want) {
		t.Errorf("Consider = %+v, want %v", d.Refusal, want)
	}
	if d := p.Decide(&q); d.Refusal == nil || !d.Refusal.AvailableFrom.IsZero() {
		t.Errorf("Decide = %+v, want no moment: it is asked on every request", d.Refusal)
	}
}
