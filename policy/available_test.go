package policy_test

import (
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
			d := p.Decide(&playback.Question{Now: now, Object: c.object})
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
