package signingkey_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/playgate/playgate/keystore"
	"github.com/playgate/playgate/keystore/file"
	"github.com/playgate/playgate/keystore/keystoretest"
	"github.com/playgate/playgate/keystore/memory"
	"github.com/playgate/playgate/playback"
	"github.com/playgate/playgate/signingkey"
)

const env playback.EnvironmentID = "acme"

// rig is an environment with a key store and a Mux, whose time is the test's,
// and the Manager of one process that looks after it.
type rig struct {
	*testing.T
	*signingkey.Manager
	clock    *clock
	mux      *fakeMux
	keeper   keystore.Keeper
	ledger   *fakeLedger
	settings signingkey.Settings // set before use
	log      logs
	changes  atomic.Int64
}

// clock is what all processes of a rig read.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) forward(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

type logs struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logs) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logs) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// stores are the keepers that the tests run against; that of Vault has tests of
// its own, and e2e runs all of it.
func stores() []string { return []string{"file", "memory"} }

// newKeeper returns a key store, which newRigOn empties.
func newKeeper(t *testing.T, store string) keystore.Keeper {
	t.Helper()
	if store == "memory" {
		return memory.New(memory.Config{})
	}
	return file.New(file.Config{Dir: t.TempDir()})
}

func newRig(t *testing.T, store string) *rig {
	t.Helper()
	return newRigOn(t, newKeeper(t, store))
}

// newRigOn returns a rig whose key store is empty, though it was used before.
func newRigOn(t *testing.T, keeper keystore.Keeper) *rig {
	t.Helper()
	r := &rig{T: t, clock: &clock{now: time.Unix(1795425054, 0).UTC()}, ledger: &fakeLedger{}, keeper: keeper}
	r.mux = &fakeMux{clock: r.clock}
	r.mux.add("ELSEWHERE", r.clock.Now().Add(-time.Hour))
	entry, _, err := keeper.Journal(t.Context(), env)
	r.check(err)
	r.check(keeper.CloseJournal(t.Context(), env, entry))
	records, _, err := keeper.Load(t.Context(), env)
	r.check(err)
	for i := range records {
		r.check(keeper.Delete(t.Context(), env, records[i].ID))
	}
	r.settings = signingkey.Settings{
		Terms: keystore.Terms{PrepareFor: 5 * time.Minute, MaxTTL: time.Hour, ExternalMaxTTL: 24 * time.Hour},
		Mux:   r.mux,
	}
	r.Manager = r.process("host/1", r.keeper, r.mux)
	return r
}

// process returns the Manager of a process. It finds process 1 alive, all
// others dead.
func (r *rig) process(name string, keeper keystore.Keeper, mux signingkey.Mux) *signingkey.Manager {
	return signingkey.NewManager(signingkey.Config{
		Keeper: keeper, Ledger: r.ledger, Now: r.clock.Now, Audit: slog.New(slog.NewTextHandler(&r.log, nil)),
		Settings: func(e playback.EnvironmentID) (signingkey.Settings, bool) {
			s := r.settings
			if s.Mux != nil {
				s.Mux = mux
			}
			return s, e == env
		},
		Changed: func(context.Context, playback.EnvironmentID) { r.changes.Add(1) },
		Process: signingkey.Process{Name: name, Alive: func(pid int) bool { return pid == 1 }},
	})
}

// put stores test key n, and has Mux know it.
func (r *rig) put(id playback.KeyID, n int, life keystore.Life) {
	r.Helper()
	if err := r.keeper.Create(r.Context(), env, keystore.NewKey{ID: id, PEM: keystoretest.PEM(r, n), Life: life}); err != nil {
		r.Fatal(err)
	}
	r.mux.add(id, r.clock.Now())
}

// states returns the keys as the store has them: "ID state, …". Unlike List, it
// shows two active keys as two.
func (r *rig) states() string {
	r.Helper()
	records, _, err := r.keeper.Load(r.Context(), env)
	if err != nil {
		r.Fatal(err)
	}
	var all []string
	for i := range records {
		all = append(all, fmt.Sprintf("%s %s", records[i].ID, records[i].State))
	}
	slices.Sort(all)
	return strings.Join(all, ", ")
}

func (r *rig) want(states string) {
	r.Helper()
	if got := r.states(); got != states {
		r.Errorf("keys: %s, want %s", got, states)
	}
}

func (r *rig) wantAtMux(ids string) {
	r.Helper()
	if got := r.mux.ids(); got != ids {
		r.Errorf("at Mux: %s, want %s", got, ids)
	}
}

func (r *rig) check(err error) {
	r.Helper()
	if err != nil {
		r.Fatal(err)
	}
}

func wantCode(t *testing.T, err error, code playback.Code) {
	t.Helper()
	_ = refusal(t, err, code)
}

// refusal returns an error that must be a refusal with a code.
func refusal(t *testing.T, err error, code playback.Code) *playback.Error {
	t.Helper()
	refused, ok := errors.AsType[*playback.Error](err)
	if !ok || refused.Code != code {
		t.Fatalf("error %v, want %s", err, code)
	}
	return refused
}

func second[T any](_ T, err error) error { return err }

func order(id playback.KeyID) signingkey.Order {
	return signingkey.Order{Environment: env, Key: id, By: "tester"}
}

func creation() signingkey.Creation { return signingkey.Creation{Environment: env, By: "tester"} }

// fakeMux hands out the test keys, one after the other.
type fakeMux struct {
	clock *clock

	mu   sync.Mutex
	keys []signingkey.MuxKey
	made int
	// fail is asked before and after each call, may wait, and says what becomes
	// of it.
	fail func(call string, done bool) error
}

func (m *fakeMux) add(id playback.KeyID, created time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.keys = append(m.keys, signingkey.MuxKey{ID: id, CreatedAt: created.Truncate(time.Second)})
}

func (m *fakeMux) has(id playback.KeyID) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.ContainsFunc(m.keys, func(k signingkey.MuxKey) bool { return k.ID == id })
}

func (m *fakeMux) hook(call string, done bool) error {
	m.mu.Lock()
	fail := m.fail
	m.mu.Unlock()
	if fail == nil {
		return nil
	}
	return fail(call, done)
}

func (m *fakeMux) Create(ctx context.Context) (signingkey.MuxKey, error) {
	if err := errors.Join(ctx.Err(), m.hook("create", false)); err != nil {
		return signingkey.MuxKey{}, err
	}
	m.mu.Lock()
	m.made++
	n := m.made
	m.mu.Unlock()
	id := playback.KeyID(fmt.Sprintf("M%d", n))
	m.add(id, m.clock.Now())
	material := playback.NewSecret(string(keystoretest.Base64(new(testing.T), 1+n%keystoretest.Keys)))
	return signingkey.MuxKey{ID: id, CreatedAt: m.clock.Now(), PrivateKey: material}, m.hook("create", true)
}

func (m *fakeMux) List(ctx context.Context) ([]signingkey.MuxKey, error) {
	if err := errors.Join(ctx.Err(), m.hook("list", false)); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.keys), nil
}

func (m *fakeMux) Delete(ctx context.Context, id playback.KeyID) error {
	if err := errors.Join(ctx.Err(), m.hook("delete", false)); err != nil {
		return err
	}
	m.mu.Lock()
	m.keys = slices.DeleteFunc(m.keys, func(k signingkey.MuxKey) bool { return k.ID == id })
	m.mu.Unlock()
	return m.hook("delete", true)
}

func (m *fakeMux) ids() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	var all []string
	for _, k := range m.keys {
		all = append(all, string(k.ID))
	}
	slices.Sort(all)
	return strings.Join(all, " ")
}

// fakeLedger knows what the test says.
type fakeLedger struct {
	last     map[playback.KeyID]time.Time
	complete bool
}

func (l *fakeLedger) LastExpiry(_ playback.EnvironmentID, id playback.KeyID) (time.Time, bool) {
	return l.last[id], l.complete
}
