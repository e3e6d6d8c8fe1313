package muxapi

import (
	"context"

	"github.com/playgate/playgate/fairqueue"
)

// Account divides the pace of one Mux account among those of its clients in this
// process that ask much: work in the background, and look-ups that viewers cause.
// Of each there is at most one in line for the account's next turn, so that
// neither can make the other wait for more than a turn, and a client that asks a
// thousand things delays another client by one. Whatever is neither, such as the
// management of signing keys, takes its turn directly.
type Account struct {
	background, lookups *fairqueue.Queue
}

// NewAccount returns an account that nobody asks in the name of yet.
func NewAccount() *Account {
	return &Account{background: fairqueue.New(1), lookups: fairqueue.New(1)}
}

// purposeKey is the key of a request's purpose in its context.
type purposeKey struct{}

type purpose uint8

const (
	direct purpose = iota
	background
	lookup
)

// Background returns a context for requests that nobody waits for.
func Background(ctx context.Context) context.Context {
	return context.WithValue(ctx, purposeKey{}, background)
}

// LookUp returns a context for requests that callers of the gateway cause.
func LookUp(ctx context.Context) context.Context {
	return context.WithValue(ctx, purposeKey{}, lookup)
}

// queue returns the queue for a request's purpose, nil for none.
func (a *Account) queue(ctx context.Context) *fairqueue.Queue {
	switch p, _ := ctx.Value(purposeKey{}).(purpose); p {
	case background:
		return a.background
	case lookup:
		return a.lookups
	case direct:
	}
	return nil
}

// turn waits for the client's next turn for anything but POST.
func (c *Client) turn(ctx context.Context) error {
	if queue := c.account.queue(ctx); queue != nil {
		if err := queue.Acquire(ctx, c.tokenID); err != nil {
			return err
		}
		defer queue.Release()
	}
	return c.others.wait(ctx, c.steady)
}
