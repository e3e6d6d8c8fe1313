package identity

import (
	"fmt"
	"time"

	"github.com/playgate/playgate/playback"
)

// Identity is a viewer whose token was verified. Immutable: it is shared
// between requests.
type Identity struct {
	Environment playback.EnvironmentID
	Viewer      *playback.Viewer
	Expires     time.Time // the token's exp
	Name        string    // NameOf the two, made once
}

// NameOf names a viewer among the callers of all environments.
func NameOf(environment playback.EnvironmentID, viewer *playback.Viewer) string {
	return "v:" + string(environment) + ":" + viewer.Issuer + ":" + viewer.ID
}

// Remembered returns the identity of a token that was verified in the last
// five minutes and still stands. host is the environment that the request's
// Host names, "" if none; an identity of another environment is not found,
// nor, without a host, one of several that the token fits. It neither parses
// nor keeps raw. now spares it the clock; zero: it looks.
func (v *Verifier) Remembered(raw string, host playback.EnvironmentID, now time.Time) (*Identity, bool) {
	if now.IsZero() {
		now = v.now()
	}
	identity, ok := v.recall(raw, host, now.UnixNano())
	if ok {
		v.metrics.hit.Inc()
	} else {
		v.metrics.miss.Inc()
	}
	return identity, ok
}

func (v *Verifier) recall(raw string, host playback.EnvironmentID, now int64) (*Identity, bool) {
	if raw == "" || len(raw) > maxToken {
		return nil, false
	}
	held := v.roster.Load().memory
	k := held.keyOf(raw)
	if identity, ok := held.recall(k, raw, now); ok && (host == "" || host == identity.Environment) {
		return identity, true
	}
	if host == "" {
		return nil, false
	}
	k.host = host
	return held.recall(k, raw, now)
}

// Verify verifies a token for the environment and remembers its identity. c
// is what Inspect returned for it; that of another token is of no use to a
// caller, the token is inspected again. The error is a *playback.Error:
// invalid_credentials; expired_credentials for a token that was good once;
// issuer_unavailable, with RetryAfter, while there are no keys to verify with.
// It may wait two seconds for the keys when it meets an unknown one.
func (v *Verifier) Verify(raw string, c Claim, environment playback.EnvironmentID) (*Identity, error) {
	if c.token == nil || c.token.raw != raw {
		var err error
		if c, err = v.Inspect(raw); err != nil {
			return nil, err
		}
	}
	identity, err := v.verify(c.token, environment)
	if err != nil {
		return nil, v.metrics.refused(err)
	}
	v.metrics.verified.Inc()
	return identity, nil
}

func (v *Verifier) verify(t *token, environment playback.EnvironmentID) (*Identity, *playback.Error) {
	current := v.roster.Load()
	issuer := current.find(environment, t)
	if issuer == nil {
		return nil, invalid(fmt.Errorf("environment %s does not accept iss %.80q with the token's recipients any more", environment, t.issuer))
	}
	if !issuer.pins(t.algorithm) {
		return nil, invalid(fmt.Errorf("alg %s is not pinned for issuer %s", t.algorithm, issuer.Alias))
	}
	if !issuer.allows(t.typ) {
		return nil, invalid(fmt.Errorf("typ %.40q is not one of those of issuer %s: %.40q", t.typ, issuer.Alias, issuer.Types))
	}
	k, refusal := v.findKey(issuer, t)
	if refusal != nil {
		return nil, refusal
	}
	now := v.now()
	if refusal := t.check(now, issuer); refusal != nil {
		return nil, refusal
	}
	viewer := &playback.Viewer{Issuer: issuer.Alias, ID: t.subject, Authenticated: true, Claims: t.claims, Memo: new(playback.Memo)}
	identity := &Identity{
		Environment: issuer.Environment, Viewer: viewer, Expires: t.expires, Name: NameOf(issuer.Environment, viewer),
	}
	until := now.Add(rememberFor)
	if t.expires.Before(until) {
		until = t.expires
	}
	if now.Before(until) {
		current.remember(t, &remembered{
			identity: identity, token: t.raw, key: k, source: issuer.source, until: until.UnixNano(),
		})
	}
	return identity, nil
}

// findKey returns the key that signed the token, after a refresh if the token
// names a key that is not known, or if there are none yet.
func (v *Verifier) findKey(issuer *trusted, t *token) (*key, *playback.Error) {
	source := issuer.source
	k, settled := source.lookUp(t.compact, v.now())
	if !settled && t.mayStand(v.now(), issuer) {
		deadline := time.NewTimer(demandWait)
		defer deadline.Stop()
		// The refresh under way may have begun before the key was published:
		// once it has ended, one more may be asked for.
		for landed, turn := true, 0; landed && !settled && turn < 2; turn++ {
			flight := source.demand()
			if flight == nil {
				break
			}
			landed = source.await(flight, deadline.C)
			k, settled = source.lookUp(t.compact, v.now())
		}
	}
	switch {
	case k != nil:
		return k, nil
	case source.keys(v.now()) == nil:
		return nil, unavailable(source.retryAfter(), fmt.Errorf("no usable key set of issuer %s", issuer.Alias))
	default:
		return nil, invalid(fmt.Errorf("no key of issuer %s made the signature: alg %s, kid %.80q", issuer.Alias, t.algorithm, t.kid))
	}
}
