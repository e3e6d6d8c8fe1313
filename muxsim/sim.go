package muxsim

import (
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// Config describes the simulated edge.
type Config struct {
	Environments []Environment
	// Now is the clock; nil means time.Now.
	Now func() time.Time
	// Logger gets one line per request at debug level, without the query; nil
	// discards.
	Logger *slog.Logger
	// HTTPClient fetches key sets; nil means one with a timeout of 2 s.
	HTTPClient *http.Client
	// LinkSecret signs rendition and segment URLs; nil means a random one, so
	// that they die with the process.
	LinkSecret []byte
}

// Environment is a Mux environment: its playback IDs are opened only by its
// keys.
type Environment struct {
	ID           EnvironmentID
	PlaybackIDs  []PlaybackID
	Restrictions []Restriction
	Keys         map[KeyID]*rsa.PublicKey
	// JWKSURL is where the environment's further public keys are: the gateway's
	// /v1/environments/{env}/jwks.json. It stands for Mux knowing the key. It is
	// read when a token names an unknown kid, and again after a minute.
	JWKSURL string

	// Name, Organization (its ID) and OrganizationName are what whoami says.
	Name, Organization, OrganizationName string
	// AccessTokens may use the API; without any, it is closed.
	AccessTokens []AccessToken
}

// PlaybackID is one playback ID and what stands behind it.
type PlaybackID struct {
	ID         ID
	Policy     Policy
	Asset      AssetID // this or LiveStream
	LiveStream LiveStreamID
	// Status is the asset's (preparing, ready, errored) or the live stream's
	// (idle, active, disabled); "" means ready or active.
	Status string
	Media  Media // "" means Film
}

// Sim is the edge. Safe for concurrent use.
type Sim struct {
	now    func() time.Time
	log    *slog.Logger
	links  linker
	edge   atomic.Pointer[map[ID]*object] // replaced as a whole, see objects
	realms map[EnvironmentID]*realm
	tally  map[Reason]*atomic.Uint64
	tokens map[string]*accessToken // by ID
	clips  map[Media]*clip
	faults faults
	mu     sync.Mutex // held while edge is replaced
}

// realm is an environment at run time.
type realm struct {
	id           EnvironmentID
	about        Environment // as it was configured
	keys         keyring
	video        video
	restrictions map[RestrictionID]*Restriction
}

// object is a playback ID at run time.
type object struct {
	PlaybackID
	realm *realm
	clip  *clip
	views *atomic.Uint64 // multivariant playlists served
}

func (o *object) live() bool { return o.LiveStream != "" }

// New returns an edge that serves the environments. It does no I/O.
func New(config Config) (*Sim, error) {
	s := &Sim{
		now: config.Now, log: config.Logger,
		realms: map[EnvironmentID]*realm{}, tally: map[Reason]*atomic.Uint64{},
		tokens: map[string]*accessToken{},
	}
	s.edge.Store(&map[ID]*object{})
	if s.now == nil {
		s.now = time.Now //nolint:forbidigo // the one place where the clock is chosen
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	client := config.HTTPClient
	if client == nil {
		client = &http.Client{Timeout: 2 * time.Second}
	}
	secret := config.LinkSecret
	if secret == nil {
		secret = []byte(rand.Text())
	}
	s.links = linker{secret: secret, now: s.now}
	for _, r := range reasons() {
		s.tally[r] = new(atomic.Uint64)
	}
	clips := map[Media]*clip{}
	for _, name := range []Media{Film, Trailer} {
		c, err := loadClip(name)
		if err != nil {
			return nil, err
		}
		clips[name] = c
	}
	clips[""] = clips[Film]
	s.clips = clips
	for i := range config.Environments {
		if err := s.addEnvironment(&config.Environments[i], client); err != nil {
			return nil, fmt.Errorf("environment %s: %w", config.Environments[i].ID, err)
		}
	}
	return s, nil
}

func (s *Sim) addEnvironment(env *Environment, client *http.Client) error {
	if env.ID == "" || s.realms[env.ID] != nil {
		return errors.New("the ID is ill-formed or repeated")
	}
	r := &realm{id: env.ID, about: *env, restrictions: map[RestrictionID]*Restriction{}, video: newVideo()}
	r.keys.url, r.keys.client, r.keys.now = env.JWKSURL, client, s.now
	r.keys.keys.Store(&keySet{added: map[KeyID]addedKey{}})
	for kid, key := range env.Keys {
		if err := r.keys.add(kid, key); err != nil {
			return err
		}
	}
	for _, restriction := range env.Restrictions {
		r.restrictions[restriction.ID] = &restriction
	}
	if err := s.addPlaybackIDs(env.PlaybackIDs, r); err != nil {
		return err
	}
	for _, token := range env.AccessTokens {
		if token.ID == "" || token.Secret == "" || s.tokens[token.ID] != nil {
			return fmt.Errorf("access token %q: the ID or the secret is missing, or the ID is repeated", token.ID)
		}
		s.tokens[token.ID] = &accessToken{token, r}
	}
	s.realms[env.ID] = r
	return nil
}

// addPlaybackIDs makes all known at once: each change copies what is known.
func (s *Sim) addPlaybackIDs(ids []PlaybackID, r *realm) (err error) {
	s.change(func(objects map[ID]*object) {
		for _, p := range ids {
			o := &object{PlaybackID: p, realm: r, clip: s.clips[p.Media], views: new(atomic.Uint64)}
			if err = o.enter(objects); err != nil {
				err = fmt.Errorf("playback ID %q: %w", p.ID, err)
				return
			}
			r.video.add(&p, s.now())
		}
	})
	return err
}

func (o *object) enter(objects map[ID]*object) error {
	switch {
	case !o.ID.Valid() || objects[o.ID] != nil:
		return errors.New("the ID is ill-formed or repeated")
	case o.Policy != Public && o.Policy != Signed && o.Policy != DRM:
		return fmt.Errorf("no such policy: %q", o.Policy)
	case (o.Asset == "") == (o.LiveStream == ""):
		return errors.New("want an asset or a live stream")
	case o.clip == nil:
		return fmt.Errorf("no such media: %q", o.Media)
	}
	objects[o.ID] = o
	return nil
}

// objects returns the playback IDs that the edge serves. Nobody writes to it.
func (s *Sim) objects() map[ID]*object { return *s.edge.Load() }

// change replaces the playback IDs by a copy that do has changed.
func (s *Sim) change(do func(map[ID]*object)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	next := maps.Clone(s.objects())
	do(next)
	s.edge.Store(&next)
}

// AddKey makes a public key known to an environment, as Mux does when a signing
// key is created.
func (s *Sim) AddKey(env EnvironmentID, kid KeyID, key *rsa.PublicKey) error {
	r, ok := s.realms[env]
	if !ok {
		return fmt.Errorf("no such environment: %q", env)
	}
	return r.keys.add(kid, key)
}

// RemoveKey forgets a key, which ends every token that it signed. A key of the
// JWKS URL comes back with its next reading.
func (s *Sim) RemoveKey(env EnvironmentID, kid KeyID) {
	if r, ok := s.realms[env]; ok {
		r.keys.remove(kid)
	}
}

// Counts returns how many HTTP requests ended with each reason. Verify does not
// count.
func (s *Sim) Counts() map[Reason]uint64 {
	out := make(map[Reason]uint64, len(s.tally))
	for reason, n := range s.tally {
		out[reason] = n.Load()
	}
	return out
}
