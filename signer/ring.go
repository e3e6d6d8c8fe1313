package signer

import (
	"crypto/rsa"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/playgate/playgate/keystore"
	"github.com/playgate/playgate/playback"
)

// RingConfig is what a Ring needs.
type RingConfig struct {
	Backend    Backend               // required
	Logger     *slog.Logger          // nil: discard
	Registerer prometheus.Registerer // nil: do not register
	// KeepRetired returns how long a retired key of the environment is published after
	// it was retired: until it may be deleted (contract §6). nil: for ever.
	KeepRetired func(playback.EnvironmentID, *keystore.Key) time.Duration
	Now         func() time.Time // required with KeepRetired
}

// Ring is the keys of every environment as they may be used now. Each environment
// has an immutable state of its own, which readers load once and Set replaces:
// what changes in one costs nothing in another.
type Ring struct {
	backend Backend
	log     *slog.Logger
	refused prometheus.Counter
	alarmed atomic.Bool // the log says that the backend's lanes are off
	now     func() time.Time
	keep    func(playback.EnvironmentID, *keystore.Key) time.Duration

	replace sync.Mutex // held while entries is replaced; readers never take it
	entries atomic.Pointer[map[playback.EnvironmentID]*ringEntry]
}

// ringEntry is where one environment's keys are.
type ringEntry struct {
	update sync.Mutex                      // held by Set alone
	keys   atomic.Pointer[environmentKeys] // nil: nobody knows them yet
}

// environmentKeys is the state of one environment. Nothing in it is written to
// after it was stored.
type environmentKeys struct {
	active *admittedKey // nil: cannot sign
	// prepared is the key that follows, nil if there is none: of several, the
	// one that was made first. It signs only ahead of being asked for.
	prepared *admittedKey
	// published is what is published now, and what after each end of a retired
	// key; the last one has no end.
	published []publication
	admitted  []*admittedKey // for Set: who passed the self-check
}

// keyName identifies a key: the ID is the operator's word, the thumbprint the
// material's.
type keyName struct {
	id         playback.KeyID
	thumbprint playback.Thumbprint
}

// admittedKey is a key that passed the self-check. Immutable.
type admittedKey struct {
	keyName
	handle Handle
	remote keystore.Signer // signs instead of the backend; nil: the backend signs
	header string          // base64url, with the key's ID
	size   int             // of a signature, in bytes
}

// headerFor returns the base64url header for a placement of the key's ID.
func (k *admittedKey) headerFor(placement playback.KidPlacement) string {
	if placement == playback.KidHeader || placement == playback.KidBoth {
		return k.header
	}
	return claimHeader
}

// NewRing returns a Ring without keys.
func NewRing(cfg RingConfig) *Ring {
	r := &Ring{
		backend: cfg.Backend,
		log:     cfg.Logger,
		now:     cfg.Now,
		keep:    cfg.KeepRetired,
		refused: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "playgate_signing_keys_refused_total",
			Help: "Signing keys that failed the self-check and do not sign.",
		}),
	}
	if r.log == nil {
		r.log = slog.New(slog.DiscardHandler)
	}
	if cfg.Registerer != nil {
		cfg.Registerer.MustRegister(r.refused, prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "playgate_signing_lanes_off",
			Help: "1 if the multi-buffer backend is switched off until the next start, because its signatures failed verification.",
		}, func() float64 {
			if lanesOff(r.backend) {
				return 1
			}
			return 0
		}))
	}
	r.entries.Store(&map[playback.EnvironmentID]*ringEntry{})
	return r
}

// SetEnvironments says which environments there are. The keys of all others do
// not sign from the moment it returns, and are published no more.
func (r *Ring) SetEnvironments(ids []playback.EnvironmentID) {
	r.replace.Lock()
	defer r.replace.Unlock()
	old, next := *r.entries.Load(), make(map[playback.EnvironmentID]*ringEntry, len(ids))
	for _, id := range ids {
		entry := old[id]
		if entry == nil {
			entry = new(ringEntry)
		}
		next[id] = entry
	}
	r.entries.Store(&next)
}

// Set replaces the keys of one environment; those of one that SetEnvironments
// does not know are dropped. Each key that may sign now or soon and was not
// there before must pass the self-check first; one that fails is logged and
// stays out, whatever its state says, and its environment cannot sign. Keys that
// are gone, or neither active nor prepared any more, do not sign from the moment
// Set returns. Environments may be set at the same time: a self-check takes
// milliseconds of a core.
func (r *Ring) Set(env playback.EnvironmentID, set keystore.Keyset) {
	entry := (*r.entries.Load())[env]
	if entry == nil {
		return
	}
	entry.update.Lock()
	defer entry.update.Unlock()
	entry.keys.Store(r.environment(env, set, entry.keys.Load()))
}

// Update replaces the keys of all environments, and with them the environments.
func (r *Ring) Update(snapshot keystore.Snapshot) {
	environments := snapshot.Environments()
	r.SetEnvironments(environments)
	for _, env := range environments {
		r.Set(env, snapshot.Keyset(env))
	}
}

// keys returns an environment's state, nil if there is none.
func (r *Ring) keys(env playback.EnvironmentID) *environmentKeys {
	entry := (*r.entries.Load())[env]
	if entry == nil {
		return nil
	}
	return entry.keys.Load()
}

// environment makes the state of an environment; old is the one before, nil if
// there was none.
func (r *Ring) environment(env playback.EnvironmentID, set keystore.Keyset, old *environmentKeys) *environmentKeys {
	e := &environmentKeys{published: r.publications(env, set.Keys)}
	var follows *keystore.Key
	for _, key := range set.Keys {
		if key.State == keystore.Retired {
			continue // published, never used: nothing to check
		}
		admitted, err := r.admit(key, old)
		if err != nil {
			r.refused.Inc()
			r.log.Error("a signing key was refused and will not sign",
				slog.String("environment", string(env)), slog.Any("key", key), slog.Any("error", err))
			continue
		}
		e.admitted = append(e.admitted, admitted)
		switch {
		case key.State == keystore.Active:
			e.active = admitted
		case follows == nil || key.CreatedAt.Before(follows.CreatedAt):
			follows, e.prepared = key, admitted
		}
	}
	return e
}

// admit returns the key as the backend holds it: the handle it already has if
// it was there before, else a new one that passed the self-check.
func (r *Ring) admit(key *keystore.Key, old *environmentKeys) (*admittedKey, error) {
	name := keyName{key.ID, key.Thumbprint}
	if old != nil {
		for _, known := range old.admitted {
			if known.keyName == name {
				return known, nil
			}
		}
	}
	return r.check(name, key)
}

// check puts a key that was not here before to the self-check.
func (r *Ring) check(name keyName, key *keystore.Key) (*admittedKey, error) {
	if key.Remote != nil {
		return r.admitRemote(name, key)
	}
	handle, err := admit(r.backend, key.Private)
	r.alarm()
	if err != nil {
		return nil, err
	}
	return &admittedKey{keyName: name, handle: handle, header: kidHeader(key.ID), size: key.Private.Size()}, nil
}

// alarm says, once, that the backend does without its lanes from now on.
func (r *Ring) alarm() {
	if lanesOff(r.backend) && !r.alarmed.Swap(true) {
		r.log.Error("signatures that did not verify have switched the lanes off until a restart: the machine or the program is at fault",
			slog.String("backend", r.backend.Name()), slog.String("description", r.backend.Describe()))
	}
}

// Active returns the key that the environment signs with now, and whether it
// has one. It allocates nothing.
func (r *Ring) Active(env playback.EnvironmentID) (playback.KeyID, playback.Thumbprint, bool) {
	e := r.keys(env)
	if e == nil || e.active == nil {
		return "", playback.Thumbprint{}, false
	}
	return e.active.id, e.active.thumbprint, true
}

// Prepared returns the key that the environment will sign with next, and
// whether it has one that passed the self-check.
func (r *Ring) Prepared(env playback.EnvironmentID) (playback.KeyID, playback.Thumbprint, bool) {
	e := r.keys(env)
	if e == nil || e.prepared == nil {
		return "", playback.Thumbprint{}, false
	}
	return e.prepared.id, e.prepared.thumbprint, true
}

// JWKS returns the environment's public keys as an RFC 7517 document with a
// strong entity tag (RFC 9110 §8.8.3), and whether the environment is known.
// The body must not be written to.
func (r *Ring) JWKS(env playback.EnvironmentID) (body []byte, etag string, ok bool) {
	p := r.publication(env)
	if p == nil {
		return nil, "", false
	}
	return p.jwks, p.etag, true
}

// PublicKeys returns the environment's published keys, for Verify. The map
// must not be written to.
func (r *Ring) PublicKeys(env playback.EnvironmentID) PublicKeys {
	p := r.publication(env)
	if p == nil {
		return nil
	}
	return p.public
}

// signing returns the named key if the environment signs with it at this
// moment, else nil: its active key, and what is signed ahead of being asked for
// with its prepared key, too.
func (r *Ring) signing(env playback.EnvironmentID, name keyName, ahead bool) *admittedKey {
	e := r.keys(env)
	switch {
	case e == nil:
	case e.active != nil && e.active.keyName == name:
		return e.active
	case ahead && e.prepared != nil && e.prepared.keyName == name:
		return e.prepared
	}
	return nil
}

// PublicKeys is what a token is verified with.
type PublicKeys map[playback.KeyID]*rsa.PublicKey
