package issuer

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/playgate/playgate/playback"
)

// sign fills in the tokens. A key may retire between choosing it and signing;
// the request then starts over with the new one, once.
func (i *Issuer) sign(ctx context.Context, env *Environment, req *Request, answer *Answer) error {
	for attempt := 0; ; attempt++ {
		key, thumbprint, ok := i.cfg.Keys.Active(env.ID)
		if !ok {
			return playback.Errorf(playback.CodeNoActiveKey, "There is no active signing key.").After(5 * time.Second)
		}
		answer.Key = key
		base := playback.Claims{Environment: env.ID, Key: key, Thumbprint: thumbprint, Kid: env.Kid, Exp: answer.Lifetime.Exp}
		err := i.signAll(ctx, req, answer, base)
		if attempt == 0 && errors.Is(err, playback.CodeNoActiveKey) {
			req.Now = time.Time{} // it may have waited
			continue
		}
		return err
	}
}

// signAll gets every token of an answer; of several, those that are in memory
// first, then the others side by side. All are waited for, whatever becomes of
// one: what was signed for nobody is in the cache when the client comes again.
func (i *Issuer) signAll(ctx context.Context, req *Request, answer *Answer, base playback.Claims) error {
	errands := req.desk.forErrands(len(answer.Items))[:0]
	for n := range answer.Items {
		if item := &answer.Items[n]; answer.Object.NeedsToken(item.Type) {
			errands = errands[:len(errands)+1]
			errands[len(errands)-1].prepare(answer, item, &base)
		}
	}
	turn := playback.Turn{Caller: req.Caller, Patient: req.Patient || len(errands) > 1, At: req.Now}
	for n := range errands {
		errands[n].turn = turn
	}
	if len(errands) == 1 {
		i.run(ctx, answer, &errands[0])
	} else {
		i.runAll(ctx, answer, errands)
	}
	answer.Hit = true
	for n := range errands {
		if errands[n].err != nil {
			return errands[n].err
		}
		answer.Hit = answer.Hit && errands[n].hit
	}
	return nil
}

// errand is one token to get, and what came of it.
type errand struct {
	item   *Item
	claims playback.Claims
	turn   playback.Turn
	hit    bool
	err    error
}

// prepare writes down what is to be signed for an item.
func (e *errand) prepare(answer *Answer, item *Item, base *playback.Claims) {
	*e = errand{item: item, claims: *base}
	e.claims.Sub, _ = answer.Object.Subject(item.Type)
	e.claims.Aud = item.Type.Aud()
	e.claims.Params, e.claims.Restriction, e.claims.Custom = item.Params, item.Restriction, item.Custom
}

// runAll asks the memory before it has goroutines wait for signatures: most
// players begin with tokens that others have had.
func (i *Issuer) runAll(ctx context.Context, answer *Answer, errands []errand) {
	missing := false
	for n := range errands {
		e := &errands[n]
		e.item.Token, e.hit = i.cfg.Tokens.Remembered(&e.claims, answer.Lifetime, e.turn.At)
		missing = missing || !e.hit
	}
	if missing {
		i.runMissing(ctx, answer, errands)
	}
}

func (i *Issuer) runMissing(ctx context.Context, answer *Answer, errands []errand) {
	var others sync.WaitGroup
	defer others.Wait() // after a panic, too: they write to what the next request is given
	var first *errand
	for n := range errands {
		e := &errands[n]
		switch {
		case e.hit:
		case first == nil:
			first = e
		default:
			others.Go(func() { i.run(ctx, answer, e) })
		}
	}
	i.run(ctx, answer, first)
}

func (i *Issuer) run(ctx context.Context, answer *Answer, e *errand) {
	e.item.Token, e.hit, e.err = i.cfg.Tokens.Token(ctx, &e.claims, answer.Lifetime, e.turn)
}
