package vault

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/playgate/playgate/keystore"
	"github.com/playgate/playgate/playback"
)

// look is what came of one key at the last Load.
type look struct {
	metadata [sha256.Size]byte // of all of it: see doc.go
	entry    keystore.Record   // what the entry says: in transit mode, all but the key
	record   keystore.Record
	problem  string // of the entry; "" none
	// expires: the version has a deletion time, so that it goes without any
	// change of its metadata.
	expires bool
}

// pass is one look at all keys of one environment.
type pass struct {
	source *Source
	env    playback.EnvironmentID
	last   map[playback.KeyID]look // what the pass before saw; not written to
	now    map[playback.KeyID]look

	records  []keystore.Record
	problems []keystore.Problem
	denied   bool // Vault refused something for lack of permission
}

// path returns the API path of a key, or of their folder; part is data or
// metadata.
func (p *pass) path(part string, id playback.KeyID) string {
	segments := []string{p.source.cfg.Mount, part, p.source.cfg.Prefix, string(p.env), "signing-keys", string(id)}
	var kept []string
	for _, segment := range segments {
		if segment != "" {
			kept = append(kept, segment)
		}
	}
	return strings.Join(kept, "/")
}

func (p *pass) run(ctx context.Context) error {
	names, err := p.list(ctx)
	if err != nil {
		p.denied = forbidden(err)
		return err
	}
	for _, name := range names {
		if strings.HasSuffix(name, "/") {
			continue // a folder
		}
		id := playback.KeyID(name)
		if !id.Valid() {
			p.records = append(p.records, keystore.Refuse(id, p.path("data", id),
				errors.New("is not named after a key ID; want 1 to 128 letters, digits, _ and -")))
			continue
		}
		if err := p.take(ctx, id); err != nil {
			return err
		}
	}
	if len(p.records) == 0 {
		p.problems = append(p.problems, keystore.Problem{Path: p.path("data", ""), Reason: "holds no keys"})
	}
	return nil
}

// list returns the names in the environment's folder. An empty one makes it
// look at the mount, because a KV version 1 looks empty too.
func (p *pass) list(ctx context.Context) ([]string, error) {
	found, err := p.source.get(ctx, p.path("metadata", ""), url.Values{"list": {"true"}})
	if refusal, ok := errors.AsType[*refusalError](err); ok && refusal.status == http.StatusNotFound {
		if wrong := p.source.checkMount(ctx); wrong != nil {
			return nil, wrong
		}
	}
	if err != nil {
		return nil, err
	}
	if found == nil {
		return nil, p.source.checkMount(ctx)
	}
	list, ok := found["keys"].([]any)
	if !ok {
		return nil, fmt.Errorf("reading %s: answer without keys", p.path("metadata", ""))
	}
	names := make([]string, 0, len(list))
	for _, entry := range list {
		name, ok := entry.(string)
		if !ok {
			return nil, fmt.Errorf("reading %s: a key's name is not a string", p.path("metadata", ""))
		}
		names = append(names, name)
	}
	return names, nil
}

// take makes the record of one key: last time's where nothing has changed, none
// where it is withdrawn.
func (p *pass) take(ctx context.Context, id playback.KeyID) error {
	last, known := p.last[id]
	metadata, err := p.source.get(ctx, p.path("metadata", id), nil)
	if err != nil || metadata == nil {
		return p.absent(id, err)
	}
	var current look
	if current.expires, err = expires(metadata); err == nil {
		current.metadata, err = sum(metadata)
	}
	if err != nil {
		return fmt.Errorf("reading %s: %w", p.path("metadata", id), err)
	}
	if known && last.metadata == current.metadata && !current.expires {
		current.entry, current.problem = last.entry, last.problem
	} else {
		found, err := p.source.get(ctx, p.path("data", id), nil)
		if err != nil || found == nil {
			return p.absent(id, err)
		}
		members, ok := found["data"].(map[string]any)
		if !ok {
			return fmt.Errorf("reading %s: answer without an entry", p.path("data", id))
		}
		current.entry, current.problem = p.source.entry(id, p.path("data", id), members)
		current.entry.StoredAt = storedAt(metadata)
	}
	current.record = current.entry
	if p.source.transit != nil && current.entry.Refused == nil {
		if current.record, err = p.source.transit.record(ctx, p.env, current.entry, last.record); err != nil {
			return p.absent(id, err)
		}
	}
	p.now[id] = current
	p.records = append(p.records, current.record)
	if current.problem != "" {
		p.problems = append(p.problems, keystore.Problem{Path: current.record.Origin, Reason: current.problem, Warning: true})
	}
	return nil
}

// absent deals with a key that was listed but could not be read. Without an
// error it is withdrawn. If Vault forbids just this key, the others must not
// suffer, and a policy's mistake must not withdraw it.
func (p *pass) absent(id playback.KeyID, err error) error {
	if !forbidden(err) {
		return err
	}
	p.denied = true
	last, known := p.last[id]
	if !known {
		p.records = append(p.records, keystore.Refuse(id, p.path("data", id), err))
		return nil
	}
	p.now[id] = last
	p.records = append(p.records, last.record)
	p.problems = append(p.problems, keystore.Problem{
		Path: p.path("data", id), Reason: err.Error() + "; its last good content stays in force",
		Kept: last.record.Refused == nil && last.record.State != keystore.Retired,
	})
	return nil
}

// sum identifies metadata: equal sums, equal metadata.
func sum(metadata map[string]any) ([sha256.Size]byte, error) {
	text, err := json.Marshal(metadata) // sorts members
	if err != nil {
		return [sha256.Size]byte{}, err
	}
	return sha256.Sum256(text), nil
}

// expires reports whether the current version has a deletion time: past (it is
// deleted) or to come. Whether it has come is for Vault's clock to say.
func expires(metadata map[string]any) (bool, error) {
	number, ok := metadata["current_version"].(json.Number)
	if !ok {
		return false, errors.New("answer without a version")
	}
	versions, _ := metadata["versions"].(map[string]any)
	version, _ := versions[number.String()].(map[string]any) // none: there is but metadata
	at, _ := version["deletion_time"].(string)
	return at != "", nil
}

// storedAt returns when an entry was first written; zero: Vault does not say.
func storedAt(metadata map[string]any) time.Time {
	text, _ := metadata["created_time"].(string)
	at, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		return time.Time{}
	}
	return at.UTC().Truncate(time.Second)
}

// entry makes a record of what an entry says, and names what is wrong with it
// although it can be used. In transit mode the record lacks its key.
func (s *Source) entry(id playback.KeyID, origin string, members map[string]any) (record keystore.Record, problem string) {
	life, err := keystore.LifeOf(members)
	if err != nil {
		return keystore.Refuse(id, origin, err), ""
	}
	problem = keystore.Unread(members, true)
	material, ok := members["private_key"].(string)
	if s.transit != nil {
		if members["private_key"] != nil {
			problem = "holds a private_key, which the mode transit has no use for: remove it, and all versions that had it"
		}
		return keystore.Record{Key: keystore.Key{
			ID: id, State: life.State, CreatedAt: life.CreatedAt, ActivatedAt: life.ActivatedAt, RetiredAt: life.RetiredAt,
			External: life.External, Origin: origin,
		}}, problem
	}
	if !ok {
		refused := keystore.Refuse(id, origin, errors.New("has no private_key"))
		refused.State = life.State
		return refused, ""
	}
	return keystore.NewRecord(id, origin, []byte(material), life), problem
}

// checkMount returns what is wrong with the mount, as far as the token may know
// it: nil also if it may not.
func (s *Source) checkMount(ctx context.Context) error {
	if s.versioned.Load() {
		return nil
	}
	found, err := s.get(ctx, "sys/internal/ui/mounts/"+s.cfg.Mount, nil)
	if refused, ok := errors.AsType[*refusalError](err); ok && (refused.status == http.StatusForbidden || refused.status == http.StatusNotFound) {
		return nil
	}
	if err != nil || found == nil {
		return err
	}
	options, _ := found["options"].(map[string]any)
	switch {
	case found["path"] != s.cfg.Mount+"/":
		return fmt.Errorf("%s is not a mount, but lies in the mount %v", s.cfg.Mount, found["path"])
	case found["type"] != "kv":
		return fmt.Errorf("the mount %s is of type %v; want kv, version 2 (in the mode transit, too: transit_mount names the other engine)", s.cfg.Mount, found["type"])
	case options["version"] != "2":
		return fmt.Errorf("the mount %s is KV version 1; want version 2: vault kv enable-versioning %s", s.cfg.Mount, s.cfg.Mount)
	}
	s.versioned.Store(true)
	return nil
}
