package signingkey

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/playgate/playgate/keystore"
	"github.com/playgate/playgate/playback"
)

// The operations, as the journal names them.
const (
	opCreate   = "create"
	opImport   = "import" // of a local key, too
	opActivate = "activate"
	opRetire   = "retire"
	opDelete   = "delete"
)

const (
	// operationTime bounds an operation: after it, the process that began it has
	// given up, though it may live.
	operationTime = 45 * time.Second
	// closeTime bounds what is done to leave order behind when the time is over.
	closeTime = 5 * time.Second
	// clockSkew is by how much the clocks of replicas may differ.
	clockSkew = time.Minute
	// muxTime is how long a request may go on after the process that sent it has
	// ended, until Mux shows what came of it; muxSkew is by how much Mux's clock
	// may differ where a key is told by the time of its creation.
	muxTime = 15 * time.Second
	muxSkew = 5 * time.Second
)

// operation is one change, noted in the journal.
type operation struct {
	m     *Manager
	env   playback.EnvironmentID
	entry keystore.Entry
}

// begin notes an operation, after what another one has left is settled. What
// the entry says of the process and its time is filled in.
func (m *Manager) begin(ctx context.Context, env playback.EnvironmentID, entry keystore.Entry) (*operation, error) {
	if _, ok := m.cfg.Settings(env); !ok {
		return nil, noEnvironment()
	}
	if err := m.Recover(ctx, env); err != nil {
		return nil, err
	}
	now := m.cfg.Now().UTC()
	entry.StartedAt, entry.Host, entry.Until = now, m.cfg.Process.Name, now.Add(operationTime)
	if err := m.cfg.Keeper.OpenJournal(ctx, env, entry); err != nil {
		if errors.Is(err, keystore.ErrBusy) {
			return nil, busy(keystore.Entry{}, dependencyRetry)
		}
		return nil, stored(fmt.Errorf("opening the journal: %w", err))
	}
	return &operation{m, env, entry}, nil
}

// note changes the entry. An error says that the operation is not this
// process's any more.
func (o *operation) note(ctx context.Context, edit func(*keystore.Entry)) error {
	next := o.entry
	edit(&next)
	if err := o.m.cfg.Keeper.ReplaceJournal(ctx, o.env, o.entry, next); err != nil {
		return stored(fmt.Errorf("writing the journal: %w", err))
	}
	o.entry = next
	return nil
}

// close ends the operation, though its time may be over. It is the last thing
// that is done: what was to be told may be told.
func (o *operation) close(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTime)
	defer cancel()
	if err := o.m.cfg.Keeper.CloseJournal(ctx, o.env, o.entry); err != nil {
		return stored(fmt.Errorf("closing the journal: %w", err))
	}
	return nil
}

// release leaves the operation to whoever comes next, without a wait.
func (o *operation) release(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTime)
	defer cancel()
	return o.note(ctx, func(e *keystore.Entry) { e.Until = time.Time{} })
}

// busy says that another operation is under way: the given one, or one that is
// not known.
func busy(entry keystore.Entry, retry time.Duration) *playback.Error {
	if entry.Operation == "" {
		return playback.Errorf(playback.CodeKeyBusy, "Another operation on the environment's signing keys is under way.").After(retry)
	}
	return playback.Errorf(playback.CodeKeyBusy, "Another operation on the environment's signing keys is under way: %s, since %s, by %s.",
		entry.Operation, entry.StartedAt.UTC().Format(time.RFC3339), entry.Host).After(retry)
}

// Recover finishes or takes back what a process has left in the middle of it,
// if there is such a thing. While that process may live, the environment is
// busy.
func (m *Manager) Recover(ctx context.Context, env playback.EnvironmentID) error {
	entry, found, err := m.cfg.Keeper.Journal(ctx, env)
	if err != nil {
		return unavailable("The key store cannot be used.", fmt.Errorf("reading the journal: %w", err))
	}
	if !found {
		return nil
	}
	now := m.cfg.Now().UTC()
	if wait := m.underWay(entry); wait > 0 {
		return busy(entry, min(wait, dependencyRetry))
	}
	o := &operation{m, env, entry}
	err = o.note(ctx, func(e *keystore.Entry) {
		e.Host, e.Until = m.cfg.Process.Name, now.Add(operationTime)
		if last := e.StartedAt.Add(operationTime); e.Ended.IsZero() && last.Before(now) {
			e.Ended = last // it had given up then
		} else if e.Ended.IsZero() {
			e.Ended = now
		}
	})
	if err != nil {
		return err
	}
	outcome, err := o.settle(ctx)
	if err != nil {
		return errors.Join(err, o.release(ctx))
	}
	m.auditRecovery(ctx, o, entry.Host, outcome)
	m.cfg.Changed(ctx, env)
	return o.close(ctx)
}

// Interrupted reports whether a process has left an operation in the middle of
// it, for Recover to finish or take back. One that may be carried out is none.
func (m *Manager) Interrupted(ctx context.Context, env playback.EnvironmentID) (bool, error) {
	entry, found, err := m.cfg.Keeper.Journal(ctx, env)
	if err != nil {
		return false, unavailable("The key store cannot be used.", fmt.Errorf("reading the journal: %w", err))
	}
	return found && m.underWay(entry) <= 0, nil
}

// underWay returns for how long an operation may still be carried out, at most
// 0 if nobody does.
func (m *Manager) underWay(entry keystore.Entry) time.Duration {
	if m.cfg.Process.gone(entry.Host) {
		return 0
	}
	return entry.Until.Add(clockSkew).Sub(m.cfg.Now())
}

// auditRecovery puts on record what became of somebody's operation.
func (m *Manager) auditRecovery(ctx context.Context, o *operation, process, outcome string) {
	attrs := []any{"operation", o.entry.Operation, "key", o.entry.ID, "since", o.entry.StartedAt, "by", o.entry.By, "process", process, "outcome", outcome}
	if o.entry.Forced {
		attrs = append(attrs, "forced", true, "reason", o.entry.Reason)
	}
	m.audit(ctx, "recovered", o.env, attrs...)
}

// settle brings the environment's keys into an order that does not need the
// operation any more, and says how. It may be done again, by anybody.
func (o *operation) settle(ctx context.Context) (string, error) {
	switch {
	case o.entry.Operation == opCreate:
		return o.settleCreate(ctx)
	case o.entry.Operation == opImport && o.entry.ID != "":
		return o.settleImport(ctx)
	case o.entry.Operation == opActivate:
		return o.settleActivate(ctx)
	case o.entry.Operation == opDelete && o.entry.ID != "":
		return o.settleDelete(ctx)
	}
	return "nothing left to do", nil
}

// settleCreate deletes the key at Mux that nobody has. It cannot be stored: its
// private half was with the process that made it.
func (o *operation) settleCreate(ctx context.Context) (string, error) {
	h, err := o.m.load(ctx, o.env)
	if err != nil {
		return "", err
	}
	if o.entry.ID != "" {
		if is, err := o.m.has(ctx, h, o.entry.ID); err != nil || is {
			return "the key was stored already", err
		}
	}
	if h.settings.Mux == nil {
		return "", playback.Errorf(playback.CodeKeyBusy,
			"A key was being made at Mux, and there is no access token of Mux any more to look after it. Configure mux.token_id again.")
	}
	id := o.entry.ID
	if id == "" {
		if id, err = o.orphan(ctx, h); err != nil || id == "" {
			return "no key had been made", err
		}
		if err := o.note(ctx, func(e *keystore.Entry) { e.ID = id }); err != nil {
			return "", err
		}
	}
	if err := h.settings.Mux.Delete(ctx, id); err != nil {
		return "", unavailable("Mux does not answer.", fmt.Errorf("deleting key %s at Mux: %w", id, err))
	}
	return "the key that nobody has was deleted at Mux", o.burn(ctx, id)
}

// settleImport makes sure that a key which is not stored never will be.
func (o *operation) settleImport(ctx context.Context) (string, error) {
	h, err := o.m.load(ctx, o.env)
	if err != nil {
		return "", err
	}
	if is, err := o.m.has(ctx, h, o.entry.ID); err != nil || is {
		return "the key was stored already", err
	}
	return "the key had not been stored", o.burn(ctx, o.entry.ID)
}

// burn deletes what may be in the store of a key that was not there: what is
// left of it in parts, or comes late.
func (o *operation) burn(ctx context.Context, id playback.KeyID) error {
	if !id.Valid() {
		return nil // nobody can have stored it
	}
	if err := o.m.cfg.Keeper.Delete(ctx, o.env, id); err != nil {
		return stored(fmt.Errorf("deleting key %s: %w", id, err))
	}
	return nil
}

// settleActivate retires what an activation has replaced.
func (o *operation) settleActivate(ctx context.Context) (string, error) {
	h, err := o.m.load(ctx, o.env)
	if err != nil {
		return "", err
	}
	if key, ok := h.find(o.entry.ID); !ok || key.State != keystore.Active {
		return "the key had not become active", nil
	}
	return "the keys that it replaced were retired", o.m.retireOthers(ctx, h, Order{Environment: o.env, Key: o.entry.ID, By: o.entry.By, Force: o.entry.Forced, Reason: o.entry.Reason})
}

// settleDelete finishes a deletion that was decided.
func (o *operation) settleDelete(ctx context.Context) (string, error) {
	h, err := o.m.load(ctx, o.env)
	if err != nil {
		return "", err
	}
	if key, ok := h.find(o.entry.ID); ok && key.State == keystore.Active {
		return "the key has become active and stays", nil
	}
	if err := o.m.remove(ctx, h, o.entry.ID); !errors.Is(err, ErrRefused) {
		return "the key was deleted", err
	}
	return "Mux refuses to delete the key, so it stays", nil
}
