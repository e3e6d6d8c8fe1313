package signingkey

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/playgate/playgate/keystore"
	"github.com/playgate/playgate/playback"
)

// errUnfinished says that a step has changed something, and that whoever comes
// next must do the rest.
var errUnfinished = errors.New("the step is half done")

// Activate lets a prepared key sign, and retires the one before it. A key that
// is active already only has the others retired.
func (m *Manager) Activate(ctx context.Context, order Order) (Status, error) {
	return m.step(ctx, opActivate, order, func(ctx context.Context, _ *operation, h *holdings) error {
		key, ok := h.find(order.Key)
		if !ok {
			return noKey()
		}
		if err := m.mayActivate(h, key, order); err != nil {
			return err
		}
		if key.State == keystore.Active {
			return m.retireOthers(ctx, h, order)
		}
		at := m.stamp()
		if active, ok := h.active(); ok && !at.After(active.ActivatedAt) {
			at = active.ActivatedAt.Add(time.Second) // of two active keys the later one signs
		}
		err := m.cfg.Keeper.Change(ctx, h.env, order.Key, func(l keystore.Life) (keystore.Life, error) { return l.Activate(at) })
		if err != nil {
			return stored(fmt.Errorf("activating key %s: %w", order.Key, err))
		}
		m.auditStep(ctx, "activated", order)
		if err := m.retireOthers(ctx, h, order); err != nil {
			return errors.Join(errUnfinished, err)
		}
		return nil
	})
}

// mayActivate returns why a key may not become active now.
func (m *Manager) mayActivate(h *holdings, key *keystore.Key, order Order) error {
	if key.State == keystore.Retired {
		return playback.Errorf(playback.CodeKeyState, "A retired key does not come back: it may be about to be deleted. Create a new one.")
	}
	if key.State == keystore.Active || order.Force {
		return nil
	}
	if _, ok := h.active(); !ok {
		return nil // nothing signs: verifiers cannot be worse off
	}
	if wait := h.settings.ReadyAt(key.Life()).Sub(m.cfg.Now()); wait > 0 {
		return playback.Errorf(playback.CodeKeyNotReady, "The key may be activated at %s: it must be published for %s first.",
			h.settings.ReadyAt(key.Life()).UTC().Format(time.RFC3339), playback.FormatDuration(h.settings.PrepareFor)).After(wait)
	}
	return nil
}

// retireOthers retires what is active beside the key of an order.
func (m *Manager) retireOthers(ctx context.Context, h *holdings, order Order) error {
	for _, id := range h.others(order.Key) {
		other := order
		other.Key = id
		if err := m.retire(ctx, h, other); err != nil {
			return err
		}
	}
	return nil
}

func (m *Manager) retire(ctx context.Context, h *holdings, order Order) error {
	at := m.stamp()
	err := m.cfg.Keeper.Change(ctx, h.env, order.Key, func(l keystore.Life) (keystore.Life, error) { return l.Retire(at) })
	if err != nil {
		return stored(fmt.Errorf("retiring key %s: %w", order.Key, err))
	}
	m.auditStep(ctx, "retired", order)
	return nil
}

// Retire takes a prepared key out of the succession. The active key is retired
// by activating another one. A retired key whose retirement nobody has noted
// counts as retired from now on.
func (m *Manager) Retire(ctx context.Context, order Order) (Status, error) {
	return m.step(ctx, opRetire, order, func(ctx context.Context, _ *operation, h *holdings) error {
		key, ok := h.find(order.Key)
		switch {
		case !ok:
			return noKey()
		case key.State == keystore.Active:
			return keyActive()
		}
		return m.retire(ctx, h, order)
	})
}

func keyActive() *playback.Error {
	return playback.Errorf(playback.CodeKeyActive, "This is the active key: activate another one first.")
}

// step carries out an order: begun in the journal, ended there.
func (m *Manager) step(ctx context.Context, name string, order Order, do func(context.Context, *operation, *holdings) error) (Status, error) {
	ctx, cancel := context.WithTimeout(ctx, operationTime)
	defer cancel()
	if order.Force && order.Reason == "" {
		return Status{}, playback.Errorf(playback.CodeInvalidField, "reason: is required with force; it is audited")
	}
	entry := keystore.Entry{Operation: name, ID: order.Key, By: order.By, Forced: order.Force, Reason: order.Reason}
	if name == opDelete {
		entry.ID = "" // noted when it is decided, so that nothing else is ever finished
	}
	o, err := m.begin(ctx, order.Environment, entry)
	if err != nil {
		return Status{}, err
	}
	h, err := m.load(ctx, order.Environment)
	if err != nil {
		return Status{}, errors.Join(err, o.close(ctx))
	}
	if err := do(ctx, o, h); err != nil {
		if errors.Is(err, errUnfinished) {
			return Status{}, errors.Join(err, o.release(ctx))
		}
		return Status{}, errors.Join(err, o.close(ctx))
	}
	if err := o.close(ctx); err != nil {
		return Status{}, err
	}
	m.cfg.Changed(ctx, order.Environment)
	if name == opDelete {
		return Status{}, nil
	}
	return m.Get(ctx, order.Environment, order.Key)
}

// Delete deletes a key at Mux, then in the store; every token that it signed
// ends. The active key is never deleted, one whose tokens may be valid only by
// force. Prepared keys have signed nothing.
func (m *Manager) Delete(ctx context.Context, order Order) error {
	_, err := m.step(ctx, opDelete, order, func(ctx context.Context, o *operation, h *holdings) error {
		if err := m.mayDelete(ctx, h, order); err != nil {
			return err
		}
		if err := o.note(ctx, func(e *keystore.Entry) { e.ID = order.Key }); err != nil {
			return err
		}
		switch err := m.remove(ctx, h, order.Key); {
		case errors.Is(err, ErrRefused):
			return err
		case err != nil:
			return errors.Join(errUnfinished, err)
		}
		if h.settings.LeftAtMux() {
			m.auditStep(ctx, "deleted", order, "mux", "not deleted at Mux: there is no mux.token_id")
			return nil
		}
		m.auditStep(ctx, "deleted", order)
		return nil
	})
	return err
}

// mayDelete returns why a key may not be deleted now.
func (m *Manager) mayDelete(ctx context.Context, h *holdings, order Order) error {
	key, found := h.find(order.Key)
	if !found && !slices.Contains(h.taken, order.Key) {
		var err error
		if key, err = m.withdrawn(ctx, h, order.Key); err != nil {
			return err
		}
		found = true
	}
	switch {
	case !found && h.unusable[order.Key] == keystore.Active:
		return playback.Errorf(playback.CodeKeyActive, "This key cannot be used, but its state says active: activate another one, then note in its state that it is retired.")
	case !found && !order.Force:
		return playback.Errorf(playback.CodeKeyInUse, "This key cannot be read, so nobody knows what it has signed. Repair it, or force.")
	case !found, key.State == keystore.Prepared:
		return nil
	case key.State == keystore.Active:
		return keyActive()
	}
	return m.mayEnd(h, key, order)
}

// withdrawn returns a key that was withdrawn from the store without being
// deleted, as if it had been retired then, by somebody who has it: what it was
// before, nobody can read.
func (m *Manager) withdrawn(ctx context.Context, h *holdings, id playback.KeyID) (*keystore.Key, error) {
	since, is, err := m.cfg.Keeper.Withdrawn(ctx, h.env, id)
	switch {
	case err != nil:
		return nil, unavailable("The key store cannot be used.", fmt.Errorf("reading key %s: %w", id, err))
	case !is:
		return nil, noKey()
	}
	return &keystore.Key{ID: id, State: keystore.Retired, RetiredAt: since, External: true}, nil
}

// mayEnd returns why the tokens of a retired key may not end now.
func (m *Manager) mayEnd(h *holdings, key *keystore.Key, order Order) error {
	at, known := m.deletableAt(h, key)
	switch {
	case order.Force:
		return nil
	case !known:
		return playback.Errorf(playback.CodeKeyInUse,
			"Nobody knows when this key was retired, so its tokens may be valid. Retire it again, which counts from then, or force.")
	case m.cfg.Now().Before(at):
		refusal := playback.Errorf(playback.CodeKeyInUse, "Tokens of this key may be valid until %s.", at.UTC().Format(time.RFC3339))
		refusal.DeletableAt = at
		return refusal
	}
	return nil
}

// remove deletes a key at Mux, where no token can be verified without it, and
// then in the store. It may be done again.
func (m *Manager) remove(ctx context.Context, h *holdings, id playback.KeyID) error {
	if h.settings.Mux != nil {
		if err := h.settings.Mux.Delete(ctx, id); err != nil {
			return muxFailed(fmt.Errorf("deleting key %s at Mux: %w", id, err))
		}
	}
	if err := m.cfg.Keeper.Delete(ctx, h.env, id); err != nil {
		return stored(fmt.Errorf("deleting key %s: %w", id, err))
	}
	return nil
}

func (m *Manager) auditStep(ctx context.Context, event string, order Order, more ...any) {
	attrs := append([]any{"key", order.Key, "by", order.By, "request_id", order.RequestID}, more...)
	if order.Force {
		attrs = append(attrs, "forced", true, "reason", order.Reason)
	}
	m.audit(ctx, event, order.Environment, attrs...)
}
