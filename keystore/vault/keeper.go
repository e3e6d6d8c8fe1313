package vault

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"strings"
	"time"

	"github.com/playgate/playgate/keystore"
	"github.com/playgate/playgate/playback"
)

var _ keystore.Keeper = (*Source)(nil)

// changeTries is how often Change reads again because somebody else wrote.
const changeTries = 5

// Create writes a key's entry, with check-and-set 0: never over another. In
// TransitMode the key goes to the transit engine first, and the entry holds
// only its life.
func (s *Source) Create(ctx context.Context, env playback.EnvironmentID, key keystore.NewKey) error {
	if err := checkNames(env, key.ID); err != nil {
		return err
	}
	if err := key.Check(); err != nil {
		return err
	}
	path := s.path("data", env, "signing-keys/"+string(key.ID))
	members := key.Life.Document()
	if s.transit == nil {
		members["private_key"] = string(key.PEM)
	} else if err := s.hideAway(ctx, env, key); err != nil {
		return err
	}
	err := s.put(ctx, path, 0, members)
	if !errors.Is(err, errCAS) {
		return err
	}
	// Vault's client repeats a request whose answer was lost: it may be our own.
	if _, found, readErr := s.readEntry(ctx, env, "signing-keys/"+string(key.ID)); readErr == nil && equal(found, members) {
		return nil
	}
	return fmt.Errorf("creating %s: %w", path, keystore.ErrExists)
}

// hideAway brings a new key into the transit engine.
func (s *Source) hideAway(ctx context.Context, env playback.EnvironmentID, key keystore.NewKey) error {
	version, _, err := s.readEntry(ctx, env, "signing-keys/"+string(key.ID))
	switch {
	case err != nil:
		return err
	case version > 0:
		return fmt.Errorf("creating %s: %w", key.ID, keystore.ErrExists)
	}
	if err = s.transit.create(ctx, env, key.ID, key.PEM); err == nil {
		return nil
	}
	// Vault answers 500 also where somebody else was faster, or where the answer
	// to our own import was lost.
	if again := s.transit.create(ctx, env, key.ID, key.PEM); again == nil || errors.Is(again, keystore.ErrExists) {
		return again
	}
	return err
}

// Change reads an entry and writes it with check-and-set. Members that the
// gateway does not know stay.
func (s *Source) Change(ctx context.Context, env playback.EnvironmentID, id playback.KeyID, f func(keystore.Life) (keystore.Life, error)) error {
	if !env.Valid() {
		return checkNames(env, id)
	}
	path := s.path("data", env, "signing-keys/"+string(id))
	if !id.Valid() {
		return fmt.Errorf("changing %.140q: %w", id, keystore.ErrNoKey)
	}
	for range changeTries {
		version, members, err := s.readEntry(ctx, env, "signing-keys/"+string(id))
		switch {
		case err != nil:
			return err
		case members == nil:
			return fmt.Errorf("changing %s: %w", path, keystore.ErrNoKey)
		}
		life, err := keystore.LifeOf(members)
		if err != nil {
			return fmt.Errorf("changing %s: it %w", path, err)
		}
		next, err := f(life)
		if err != nil {
			return err
		}
		if err := s.put(ctx, path, version, next.Over(members)); !errors.Is(err, errCAS) {
			return err
		}
	}
	return fmt.Errorf("changing %s: %w", path, keystore.ErrChanged)
}

// Delete deletes an entry with all its versions, and the key in the transit
// engine. The entry goes first: what is left without it, nobody finds.
func (s *Source) Delete(ctx context.Context, env playback.EnvironmentID, id playback.KeyID) error {
	if err := checkNames(env, id); err != nil {
		return err
	}
	if err := s.erase(ctx, s.path("metadata", env, "signing-keys/"+string(id))); err != nil {
		return err
	}
	if s.transit == nil {
		return nil
	}
	return s.transit.remove(ctx, env, id)
}

// Withdrawn reports whether the key's current version is deleted or destroyed.
func (s *Source) Withdrawn(ctx context.Context, env playback.EnvironmentID, id playback.KeyID) (since time.Time, is bool, err error) {
	if err := checkNames(env, id); err != nil {
		return time.Time{}, false, err
	}
	metadata, err := s.fetch(ctx, s.path("metadata", env, "signing-keys/"+string(id)))
	if err != nil || metadata == nil {
		return time.Time{}, false, err
	}
	found, err := s.fetch(ctx, s.path("data", env, "signing-keys/"+string(id)))
	if err != nil || found != nil {
		return time.Time{}, false, err
	}
	current, _ := metadata["current_version"].(json.Number)
	versions, _ := metadata["versions"].(map[string]any)
	version, _ := versions[current.String()].(map[string]any)
	at, _ := version["deletion_time"].(string)
	since, _ = time.Parse(time.RFC3339Nano, at) // none: it was destroyed
	return since, true, nil
}

// journalName is the entry, beside the folder of the keys, that notes the
// operation under way. Closing it writes an empty note over it, so that every
// write has a version to compare with.
const journalName = "journal"

// Journal returns the operation under way.
func (s *Source) Journal(ctx context.Context, env playback.EnvironmentID) (keystore.Entry, bool, error) {
	_, entry, found, err := s.journal(ctx, env)
	return entry, found, err
}

func (s *Source) journal(ctx context.Context, env playback.EnvironmentID) (version int64, entry keystore.Entry, found bool, err error) {
	if !env.Valid() {
		return 0, keystore.Entry{}, false, fmt.Errorf("%.80q is not an environment ID", env)
	}
	version, members, err := s.readEntry(ctx, env, journalName)
	if err != nil || members == nil {
		return version, keystore.Entry{}, false, err
	}
	text, err := json.Marshal(members)
	if err == nil {
		err = json.Unmarshal(text, &entry)
	}
	if err != nil {
		return 0, keystore.Entry{}, false, fmt.Errorf("reading the journal %s: %w", s.path("data", env, journalName), err)
	}
	return version, entry, entry.Operation != "", nil
}

// OpenJournal notes an operation.
func (s *Source) OpenJournal(ctx context.Context, env playback.EnvironmentID, entry keystore.Entry) error {
	version, _, found, err := s.journal(ctx, env)
	switch {
	case err != nil:
		return err
	case found:
		return keystore.ErrBusy
	}
	if err := s.note(ctx, env, version, entry); !errors.Is(err, errLost) {
		return err
	}
	return keystore.ErrBusy
}

// ReplaceJournal replaces the note.
func (s *Source) ReplaceJournal(ctx context.Context, env playback.EnvironmentID, from, to keystore.Entry) error {
	version, entry, found, err := s.journal(ctx, env)
	switch {
	case err != nil:
		return err
	case !found || !entry.Equal(from):
		return keystore.ErrChanged
	}
	if err := s.note(ctx, env, version, to); !errors.Is(err, errLost) {
		return err
	}
	return keystore.ErrChanged
}

// CloseJournal ends the operation.
func (s *Source) CloseJournal(ctx context.Context, env playback.EnvironmentID, entry keystore.Entry) error {
	version, current, found, err := s.journal(ctx, env)
	switch {
	case err != nil || !found:
		return err
	case !current.Equal(entry):
		return keystore.ErrChanged
	}
	if err := s.note(ctx, env, version, keystore.Entry{}); !errors.Is(err, errLost) {
		return err
	}
	return keystore.ErrChanged
}

// errLost says that somebody else has written the journal first.
var errLost = errors.New("somebody else was faster")

// note writes the journal over the given version of it, or returns errLost.
func (s *Source) note(ctx context.Context, env playback.EnvironmentID, version int64, entry keystore.Entry) error {
	text, err := json.Marshal(entry)
	if err != nil {
		return fmt.Errorf("writing the journal: %w", err)
	}
	var members map[string]any
	if err := json.Unmarshal(text, &members); err != nil {
		return fmt.Errorf("writing the journal: %w", err)
	}
	err = s.put(ctx, s.path("data", env, journalName), version, members)
	if !errors.Is(err, errCAS) {
		return err
	}
	if _, current, _, readErr := s.journal(ctx, env); readErr == nil && current.Equal(entry) {
		return nil // a repeated request: see Create
	}
	return errLost
}

// path returns the API path of something below an environment's prefix.
func (s *Source) path(part string, env playback.EnvironmentID, name string) string {
	segments := []string{s.cfg.Mount, part}
	if s.cfg.Prefix != "" {
		segments = append(segments, s.cfg.Prefix)
	}
	return strings.Join(append(segments, string(env), name), "/")
}

// readEntry returns the members of an entry and their version; nil members:
// there is none, or it is deleted. A version of 0 has never been written.
func (s *Source) readEntry(ctx context.Context, env playback.EnvironmentID, name string) (version int64, members map[string]any, err error) {
	path := s.path("data", env, name)
	found, err := s.fetch(ctx, path)
	if err == nil && found == nil {
		// The version of what is deleted stands in the metadata alone. It is read
		// before the data, so that it never is the version of a later write.
		var metadata map[string]any
		if metadata, err = s.fetch(ctx, s.path("metadata", env, name)); err != nil || metadata == nil {
			return 0, nil, err
		}
		if found, err = s.fetch(ctx, path); err == nil && found == nil {
			version, err = versionOf(metadata, "current_version", path)
			return version, nil, err
		}
	}
	if err != nil {
		return 0, nil, err
	}
	metadata, _ := found["metadata"].(map[string]any)
	members, _ = found["data"].(map[string]any)
	version, err = versionOf(metadata, "version", path)
	return version, members, err
}

func versionOf(metadata map[string]any, field, path string) (int64, error) {
	number, ok := metadata[field].(json.Number)
	if !ok {
		return 0, fmt.Errorf("reading %s: answer without a version", path)
	}
	return number.Int64()
}

// fetch reads a path, logged in: again with another token if Vault refused the
// first.
func (s *Source) fetch(ctx context.Context, path string) (map[string]any, error) {
	if err := s.session.ensure(ctx); err != nil {
		return nil, err
	}
	token := s.client.Token()
	found, err := s.get(ctx, path, nil)
	if forbidden(err) {
		if fresh, _ := s.session.replace(ctx, token); fresh { // the refusal says more than a failed log-in
			found, err = s.get(ctx, path, nil)
		}
	}
	if err != nil {
		return nil, s.explain(err)
	}
	return found, nil
}

// errCAS says that an entry does not have the version that a write was for.
var errCAS = errors.New("somebody else wrote it meanwhile")

// put writes an entry, if its version is the given one; 0: if there is none.
func (s *Source) put(ctx context.Context, path string, version int64, members map[string]any) error {
	answer, err := s.write(ctx, path, map[string]any{"options": map[string]any{"cas": version}, "data": members})
	if refusal, ok := errors.AsType[*refusalError](err); ok && refusal.status == http.StatusBadRequest && strings.Contains(refusal.reason, "check-and-set") {
		return errors.Join(errCAS, err)
	}
	if err == nil && (answer == nil || answer.Data["version"] == nil) {
		// Version 1 takes anything at any path: take it back, before a key is written.
		return errors.Join(fmt.Errorf("writing %s: the mount is not KV version 2: vault kv enable-versioning %s", path, s.cfg.Mount), s.erase(ctx, path))
	}
	return err
}

func equal(a, b map[string]any) bool {
	return maps.EqualFunc(a, b, func(a, b any) bool { return a == b })
}

// checkNames keeps what is no name out of paths.
func checkNames(env playback.EnvironmentID, id playback.KeyID) error {
	if !env.Valid() {
		return fmt.Errorf("%.80q is not an environment ID", env)
	}
	if !id.Valid() {
		return fmt.Errorf("%.140q is not a key ID; want 1 to 128 letters, digits, _ and -", id)
	}
	return nil
}
