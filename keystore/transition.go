package keystore

import (
	"fmt"
	"time"
)

// Terms are what an environment asks of the life of its keys.
type Terms struct {
	// PrepareFor is how long a key is published before it may sign, so that
	// every replica and every verifier has it by then.
	PrepareFor time.Duration
	// MaxTTL is the longest life of a token that the gateway signs.
	MaxTTL time.Duration
	// ExternalMaxTTL is how long somebody else who has a private half is
	// thought to sign into the future.
	ExternalMaxTTL time.Duration
}

// TransitionError refuses a step that a key's state does not have.
type TransitionError struct{ From, To State }

// Error names both states.
func (e *TransitionError) Error() string {
	return fmt.Sprintf("a key that is %s cannot become %s", e.From, e.To)
}

// Activate returns the life after activation. Only a prepared key can be
// activated: a retired one may be about to be deleted, so it never comes back.
// An active one stays as it is; one without a state is active.
func (l Life) Activate(at time.Time) (Life, error) {
	switch l.State {
	case Prepared:
		l.State, l.ActivatedAt, l.RetiredAt = Active, at, time.Time{}
	case Stateless, Active:
		l.State = Active
	case Retired:
		return Life{}, &TransitionError{l.State, Active}
	default:
		return Life{}, &TransitionError{l.State, Active}
	}
	return l, nil
}

// Retire returns the life after retirement: an active key stops signing, a
// prepared one never will. A retired one stays as it is, except that a
// retirement at an unknown time counts from now on.
func (l Life) Retire(at time.Time) (Life, error) {
	switch l.State {
	case Stateless, Active, Prepared:
		l.State, l.RetiredAt = Retired, at
	case Retired:
		if l.RetiredAt.IsZero() {
			l.RetiredAt = at
		}
	default:
		return Life{}, &TransitionError{l.State, Retired}
	}
	return l, nil
}

// ReadyAt returns from when on a prepared key may be activated; zero: at once,
// because nobody knows since when it has been published.
func (t Terms) ReadyAt(l Life) time.Time {
	if l.CreatedAt.IsZero() {
		return time.Time{}
	}
	return l.CreatedAt.Add(t.PrepareFor)
}

// DeletableAt returns from when on no token of a retired key can be valid,
// whoever signed it. false: nobody knows when it was retired, or it is not.
func (t Terms) DeletableAt(l Life) (time.Time, bool) {
	if l.State != Retired || l.RetiredAt.IsZero() {
		return time.Time{}, false
	}
	return l.RetiredAt.Add(t.KeepFor(l)), true
}

// KeepFor returns how long after its retirement a key's tokens may be valid.
func (t Terms) KeepFor(l Life) time.Duration {
	if l.External {
		return max(t.MaxTTL, t.ExternalMaxTTL)
	}
	return t.MaxTTL
}

// Life returns what is known of the key besides its material.
func (k *Key) Life() Life {
	return Life{State: k.State, CreatedAt: k.CreatedAt, ActivatedAt: k.ActivatedAt, RetiredAt: k.RetiredAt, External: k.External}
}
