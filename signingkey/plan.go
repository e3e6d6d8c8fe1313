package signingkey

import (
	"time"

	"github.com/playgate/playgate/keystore"
	"github.com/playgate/playgate/playback"
)

// Action is what a step of the scheduled rotation does.
type Action string

// The actions.
const (
	NoAction   Action = ""
	CreateKey  Action = "create"
	Activation Action = "activate"
	Deletion   Action = "delete"
)

// Step is the next one of a scheduled rotation.
type Step struct {
	Action Action
	Key    playback.KeyID // "": one that is to be made
	At     time.Time      // zero: at once
	// Blocked says why it cannot be done; "": it can.
	Blocked string
}

// Due reports whether the step is to be done now.
func (s Step) Due(now time.Time) bool {
	return s.Action != NoAction && s.Blocked == "" && !now.Before(s.At)
}

// Plan returns the next step of an environment's scheduled rotation. deletable
// says from when on a key may be deleted.
//
//   - the active key is replaced rotate_every after its activation, by the
//     oldest prepared key that nobody else has, published for prepare_for;
//   - if there is none, it is made prepare_for before that;
//   - a retired key is deleted when it is deletable and was retired for
//     retire_after.
func Plan(set keystore.Keyset, s Settings, deletable func(*keystore.Key) (time.Time, bool)) Step {
	succession, deletion := planSuccession(set, s), planDeletion(set, s, deletable)
	if deletion.Action != NoAction && (succession.Action == NoAction || succession.Blocked != "" || deletion.At.Before(succession.At)) {
		return deletion
	}
	return succession
}

func planSuccession(set keystore.Keyset, s Settings) Step {
	if s.RotateEvery <= 0 {
		return Step{}
	}
	var replaceAt time.Time // zero: at once, because nothing signs
	if active, ok := set.Active(); ok {
		since := active.ActivatedAt
		if since.IsZero() {
			since = active.CreatedAt
		}
		if since.IsZero() {
			return Step{Action: CreateKey, Blocked: "nobody knows when the active key was activated: note activated_at beside it, or activate another key by hand"}
		}
		replaceAt = since.Add(s.RotateEvery)
	}
	if next := successor(set); next != nil {
		at := replaceAt
		if ready := s.ReadyAt(next.Life()); !replaceAt.IsZero() && ready.After(replaceAt) {
			at = ready
		}
		return Step{Action: Activation, Key: next.ID, At: at}
	}
	step := Step{Action: CreateKey}
	if !replaceAt.IsZero() {
		step.At = replaceAt.Add(-s.PrepareFor)
	}
	if s.Mux == nil && !s.LocalRotation {
		step.Blocked = "there is no access token of Mux (mux.token_id) to ask for a key with, and Mux would refuse a local one"
	}
	return step
}

// successor returns the oldest prepared key that nobody else has: an external
// one is somebody's, who has other plans for it.
func successor(set keystore.Keyset) *keystore.Key {
	var oldest *keystore.Key
	for _, key := range set.Keys {
		if key.State == keystore.Prepared && !key.External && (oldest == nil || key.CreatedAt.Before(oldest.CreatedAt)) {
			oldest = key
		}
	}
	return oldest
}

func planDeletion(set keystore.Keyset, s Settings, deletable func(*keystore.Key) (time.Time, bool)) Step {
	var first Step
	if s.RetireAfter <= 0 {
		return first
	}
	for _, key := range set.Keys {
		at, known := deletable(key)
		if key.State != keystore.Retired || !known {
			continue
		}
		if kept := key.RetiredAt.Add(s.RetireAfter); kept.After(at) {
			at = kept
		}
		if first.Action == NoAction || at.Before(first.At) {
			first = Step{Action: Deletion, Key: key.ID, At: at}
		}
	}
	return first
}
