package memory

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/playgate/playgate/keystore"
	"github.com/playgate/playgate/playback"
)

// Create adds a key.
func (s *Source) Create(ctx context.Context, env playback.EnvironmentID, key keystore.NewKey) error {
	if err := key.Check(); err != nil {
		return err
	}
	record := keystore.NewRecord(key.ID, "memory", key.PEM, key.Life)
	return s.locked(ctx, env, func(e *slot) error {
		if e.find(key.ID) >= 0 {
			return fmt.Errorf("creating %s: %w", key.ID, keystore.ErrExists)
		}
		e.records = append(e.records, record)
		return nil
	})
}

// Change changes a key's life.
func (s *Source) Change(ctx context.Context, env playback.EnvironmentID, id playback.KeyID, f func(keystore.Life) (keystore.Life, error)) error {
	return s.locked(ctx, env, func(e *slot) error {
		n := e.find(id)
		if n < 0 {
			return fmt.Errorf("changing %.140q: %w", id, keystore.ErrNoKey)
		}
		record := e.records[n] // a copy: the old one is shared
		life, err := f(record.Life())
		if err != nil {
			return err
		}
		record.State, record.External = life.State, life.External
		record.CreatedAt, record.ActivatedAt, record.RetiredAt = life.CreatedAt, life.ActivatedAt, life.RetiredAt
		e.records[n] = record
		return nil
	})
}

// Delete removes a key.
func (s *Source) Delete(ctx context.Context, env playback.EnvironmentID, id playback.KeyID) error {
	return s.locked(ctx, env, func(e *slot) error {
		if n := e.find(id); n >= 0 {
			e.records = slices.Delete(e.records, n, n+1)
		}
		return nil
	})
}

// Withdrawn reports false: a key is there or gone.
func (s *Source) Withdrawn(ctx context.Context, _ playback.EnvironmentID, _ playback.KeyID) (time.Time, bool, error) {
	return time.Time{}, false, ctx.Err()
}

// Journal returns the operation under way.
func (s *Source) Journal(ctx context.Context, env playback.EnvironmentID) (entry keystore.Entry, found bool, err error) {
	err = s.locked(ctx, env, func(e *slot) error {
		if found = e.journal != nil; found {
			entry = *e.journal
		}
		return nil
	})
	return entry, found, err
}

// OpenJournal notes an operation.
func (s *Source) OpenJournal(ctx context.Context, env playback.EnvironmentID, entry keystore.Entry) error {
	return s.locked(ctx, env, func(e *slot) error {
		if e.journal != nil {
			return keystore.ErrBusy
		}
		e.journal = &entry
		return nil
	})
}

// ReplaceJournal replaces the note.
func (s *Source) ReplaceJournal(ctx context.Context, env playback.EnvironmentID, from, to keystore.Entry) error {
	return s.locked(ctx, env, func(e *slot) error {
		if e.journal == nil || !e.journal.Equal(from) {
			return keystore.ErrChanged
		}
		e.journal = &to
		return nil
	})
}

// CloseJournal ends the operation.
func (s *Source) CloseJournal(ctx context.Context, env playback.EnvironmentID, entry keystore.Entry) error {
	return s.locked(ctx, env, func(e *slot) error {
		if e.journal != nil && !e.journal.Equal(entry) {
			return keystore.ErrChanged
		}
		e.journal = nil
		return nil
	})
}

func (s *Source) locked(ctx context.Context, env playback.EnvironmentID, do func(*slot) error) error {
	e, err := s.slot(ctx, env)
	if err != nil {
		return err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	return do(e)
}

// find returns where a key is among the records, -1 if nowhere.
func (e *slot) find(id playback.KeyID) int {
	return slices.IndexFunc(e.records, func(r keystore.Record) bool { return r.ID == id })
}
