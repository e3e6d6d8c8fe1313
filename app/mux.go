package app

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/playgate/playgate/clock"
	"github.com/playgate/playgate/configs"
	"github.com/playgate/playgate/keystore"
	"github.com/playgate/playgate/muxapi"
	"github.com/playgate/playgate/playback"
	"github.com/playgate/playgate/signingkey"
	"github.com/playgate/playgate/store"
)

// termsOf returns what an environment asks of the life of its keys.
func termsOf(e *configs.Environment) keystore.Terms {
	return keystore.Terms{PrepareFor: e.Keys.PrepareFor, MaxTTL: e.Token.MaxTTL, ExternalMaxTTL: e.Keys.ExternalMaxTTL}
}

// muxClients keeps one client of Mux's API per access token, so that all who
// ask share its pace, also beyond a reload.
type muxClients struct {
	// paces is where all replicas that share an account take turns; nil: in a
	// command, which is alone.
	paces store.Paces
	clock *clock.Clock // nil: the real time

	mu       sync.Mutex // guards what follows
	clients  map[muxAccess]*muxapi.Client
	accounts map[string]*muxapi.Account
}

// muxAccess is everything that a client is made from.
type muxAccess struct{ base, environment, id, secret, account string }

func newMuxClients() *muxClients {
	return &muxClients{clients: map[muxAccess]*muxapi.Client{}, accounts: map[string]*muxapi.Account{}}
}

// of returns the client of an environment, nil if none is configured.
func (c *muxClients) of(e *configs.Environment) (signingkey.Mux, error) {
	client, err := c.client(e)
	if client == nil {
		return nil, err // an interface that holds no nil pointer
	}
	return mux{client}, nil
}

// client returns the client of an environment, nil if none is configured. Mux's
// pace is that of an account, which is an organization.
func (c *muxClients) client(e *configs.Environment) (*muxapi.Client, error) {
	m := &e.Mux
	if !m.Enabled() {
		return nil, nil //nolint:nilnil // nil for none
	}
	access := muxAccess{m.BaseURL, m.EnvironmentID, m.TokenID, m.TokenSecret.Reveal(), m.BaseURL + " " + string(e.Organization)}
	c.mu.Lock()
	defer c.mu.Unlock()
	client := c.clients[access]
	if client == nil {
		account := c.accounts[access.account]
		if account == nil {
			account = muxapi.NewAccount()
			c.accounts[access.account] = account
		}
		made, err := muxapi.New(muxapi.Config{
			BaseURL: m.BaseURL, TokenID: m.TokenID, Secret: m.TokenSecret, EnvironmentID: m.EnvironmentID,
			Turn: c.turn(access.account), Account: account,
			Now: c.now, Steady: c.steady, Witness: c.witness,
		})
		if err != nil {
			return nil, fmt.Errorf("making a client of Mux's API: %w", err)
		}
		client = made
		c.clients[access] = client
	}
	return client, nil
}

func (c *muxClients) now() time.Time {
	if c.clock == nil {
		return time.Now()
	}
	return c.clock.Now()
}

func (c *muxClients) steady() time.Time {
	if c.clock == nil {
		return time.Now()
	}
	return c.clock.Steady()
}

// witness hears what time it is by Mux's clock.
func (c *muxClients) witness(at time.Time) {
	if c.clock != nil {
		c.clock.Witness(at)
	}
}

// longestTurn is how long who has no deadline waits for a turn.
const longestTurn = time.Hour

// turn returns how an account's turns are taken, nil if that is the client's own
// business.
func (c *muxClients) turn(account string) func(context.Context, string, time.Duration) (time.Duration, error) {
	if c.paces == nil {
		return nil
	}
	return func(ctx context.Context, name string, every time.Duration) (time.Duration, error) {
		turn := store.Turn{Name: account + " " + name, Every: every, Now: c.steady(), Within: longestTurn}
		if end, ok := ctx.Deadline(); ok {
			turn.Within = min(turn.Within, time.Until(end))
		}
		delay, err := c.paces.Turn(ctx, turn)
		if errors.Is(err, store.ErrNoTurn) {
			err = context.DeadlineExceeded
		}
		return delay, err
	}
}

// settings returns an environment's keys as signingkey.Manager wants them. With
// an error, every request to Mux is answered by it.
func (c *muxClients) settings(e *configs.Environment) (signingkey.Settings, error) {
	client, err := c.of(e)
	if err != nil {
		client = noMux{err} // nil would mean that Mux does not matter
	}
	return signingkey.Settings{
		Terms: termsOf(e), RotateEvery: e.Keys.RotateEvery, RetireAfter: e.Keys.RetireAfter,
		Mux: client, LocalRotation: e.Keys.Local,
	}, err
}

// mux is Mux's API in the words of signingkey.
type mux struct{ client *muxapi.Client }

func (m mux) Create(ctx context.Context) (signingkey.MuxKey, error) {
	key, err := m.client.CreateSigningKey(ctx)
	if errors.Is(err, muxapi.ErrUnsettled) {
		err = fmt.Errorf("%w: %w", signingkey.ErrUnknownOutcome, err)
	}
	return signingkey.MuxKey(key), err
}

func (m mux) List(ctx context.Context) ([]signingkey.MuxKey, error) {
	list, err := m.client.ListSigningKeys(ctx)
	if err != nil {
		return nil, err
	}
	out := make([]signingkey.MuxKey, len(list))
	for i, key := range list {
		out[i] = signingkey.MuxKey(key)
	}
	return out, nil
}

func (m mux) Delete(ctx context.Context, id playback.KeyID) error {
	err := m.client.DeleteSigningKey(ctx, id)
	// What Mux will not do however often it is asked: 408 and 429 pass.
	answer, ok := errors.AsType[*muxapi.Error](err)
	refused := ok && answer.Status/100 == 4 && answer.Status != http.StatusRequestTimeout && answer.Status != http.StatusTooManyRequests
	if refused || errors.Is(err, muxapi.ErrEnvironment) {
		return fmt.Errorf("%w: %w", signingkey.ErrRefused, err)
	}
	return err
}

// noMux is an access to Mux that cannot be had.
type noMux struct{ err error }

func (m noMux) Create(context.Context) (signingkey.MuxKey, error) {
	return signingkey.MuxKey{}, m.err
}

func (m noMux) List(context.Context) ([]signingkey.MuxKey, error) { return nil, m.err }

func (m noMux) Delete(context.Context, playback.KeyID) error {
	return fmt.Errorf("%w: %w", signingkey.ErrRefused, m.err)
}
