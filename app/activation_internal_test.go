package app

import (
	"testing"
	"time"

	"github.com/playgate/playgate/configs"
	"github.com/playgate/playgate/keystore"
	"github.com/playgate/playgate/playback"
	"github.com/playgate/playgate/signingkey"
)

// TestTheCacheLearnsWhenThePreparedKeyBecomesActive: by schedule at its time,
// else as soon as keys.prepare_for allows.
func TestTheCacheLearnsWhenThePreparedKeyBecomesActive(t *testing.T) {
	t.Parallel()
	now := time.Unix(1795425054, 0).UTC()
	prepared := &keystore.Key{ID: "P", State: keystore.Prepared, CreatedAt: now}
	set := keystore.Keyset{Keys: []*keystore.Key{{ID: "A", State: keystore.Active, ActivatedAt: now.Add(-time.Hour)}, prepared}}
	for rotateEvery, want := range map[time.Duration]time.Time{
		0:             now.Add(2 * time.Minute),
		3 * time.Hour: now.Add(2 * time.Hour),
		time.Minute:   now.Add(2 * time.Minute),
	} {
		e := &configs.Environment{}
		e.Keys.PrepareFor, e.Keys.RotateEvery = 2*time.Minute, rotateEvery
		a := &App{muxes: newMuxClients()}
		a.state.Store(&state{configured: map[playback.EnvironmentID]*configs.Environment{"acme": e}})
		a.rotation = &rotation{manager: signingkey.NewManager(signingkey.Config{Settings: a.settings})}
		if got := a.activation("acme", set, prepared); !got.Equal(want) {
			t.Errorf("rotate_every %s: %s, want %s", rotateEvery, got, want)
		}
		if got := a.activation("globex", set, prepared); !got.IsZero() {
			t.Errorf("another environment: %s", got)
		}
	}
}
