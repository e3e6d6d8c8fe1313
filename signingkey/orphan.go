package signingkey

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/playgate/playgate/playback"
)

// orphan returns the key that a creation has made at Mux without noting it; "":
// none. It is a guess, so it is one key that was made while the operation ran
// and that no environment has: of two that it could be, it chooses none.
func (o *operation) orphan(ctx context.Context, h *holdings) (playback.KeyID, error) {
	list, err := h.settings.Mux.List(ctx)
	if err != nil {
		return "", unavailable("Mux does not answer.", fmt.Errorf("listing keys at Mux: %w", err))
	}
	from, to := o.entry.StartedAt.Add(-muxSkew), o.entry.StartedAt.Add(operationTime+muxSkew)
	var found []string
	for _, key := range list {
		meanwhile := !key.CreatedAt.Before(from) && !key.CreatedAt.After(to)
		if !meanwhile || slices.Contains(o.entry.Known, key.ID) {
			continue
		}
		is, err := o.m.has(ctx, h, key.ID)
		if !is && err == nil {
			is, err = o.m.elsewhere(ctx, o.env, key.ID)
		}
		if err != nil {
			return "", err
		}
		if !is {
			found = append(found, string(key.ID))
		}
	}
	switch len(found) {
	case 0:
		// The request may have been the last thing that the process did, and be on its
		// way.
		if wait := o.entry.Ended.Add(muxTime + muxSkew).Sub(o.m.cfg.Now()); wait > 0 {
			return "", busy(o.entry, min(wait, dependencyRetry))
		}
		return "", nil
	case 1:
		return playback.KeyID(found[0]), nil
	}
	return "", playback.Errorf(playback.CodeKeyBusy,
		"An interrupted operation has made one of these keys at Mux, and it cannot be told which: %s. Delete the one that nobody uses at Mux, then ask again.",
		strings.Join(found, ", "))
}

// elsewhere reports whether another environment has a key. It refuses to say so
// while another one may be making it.
func (m *Manager) elsewhere(ctx context.Context, env playback.EnvironmentID, id playback.KeyID) (bool, error) {
	for _, other := range m.cfg.Environments() {
		if other == env {
			continue
		}
		// First the journal: what is not noted there any more is stored.
		entry, found, err := m.cfg.Keeper.Journal(ctx, other)
		switch {
		case err != nil:
			return false, unavailable("The key store cannot be used.", fmt.Errorf("reading the journal of %s: %w", other, err))
		case found && entry.ID == id:
			return true, nil
		case found && entry.Operation == opCreate && entry.ID == "" && m.underWay(entry) > 0:
			return false, busy(entry, dependencyRetry)
		}
		records, _, err := m.cfg.Keeper.Load(ctx, other)
		if err != nil {
			return false, unavailable("The key store cannot be used.", fmt.Errorf("reading keys of %s: %w", other, err))
		}
		h := &holdings{env: other}
		for i := range records {
			h.taken = append(h.taken, records[i].ID)
		}
		if is, err := m.has(ctx, h, id); err != nil || is {
			return is, err
		}
	}
	return false, nil
}

// has reports whether the store has a key, though it be withdrawn.
func (m *Manager) has(ctx context.Context, h *holdings, id playback.KeyID) (bool, error) {
	if slices.Contains(h.taken, id) {
		return true, nil
	}
	switch _, err := m.withdrawn(ctx, h, id); {
	case errors.Is(err, playback.CodeNotFound):
		return false, nil
	default:
		return err == nil, err
	}
}
