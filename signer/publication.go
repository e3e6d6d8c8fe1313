package signer

import (
	"slices"
	"time"

	"github.com/playgate/playgate/keystore"
	"github.com/playgate/playgate/playback"
)

// publication is a key set as it is published. Immutable.
type publication struct {
	end    time.Time // it is published until then; zero: no end
	jwks   []byte
	etag   string
	public PublicKeys
}

// publications returns what is published of the keys as time goes on: all of
// them, then without the retired key that ends first, and so on.
func (r *Ring) publications(env playback.EnvironmentID, keys []*keystore.Key) []publication {
	var out []publication
	for {
		p := publication{public: make(PublicKeys, len(keys))}
		for _, key := range keys {
			p.public[key.ID] = key.Public()
			if end := r.end(env, key); !end.IsZero() && (p.end.IsZero() || end.Before(p.end)) {
				p.end = end
			}
		}
		p.jwks, p.etag = publish(keys)
		out = append(out, p)
		if p.end.IsZero() {
			return out
		}
		keys = slices.DeleteFunc(slices.Clone(keys), func(key *keystore.Key) bool {
			end := r.end(env, key)
			return !end.IsZero() && !end.After(p.end)
		})
	}
}

// end returns when a key stops being published, zero if never: nobody knows
// when it was retired.
func (r *Ring) end(env playback.EnvironmentID, key *keystore.Key) time.Time {
	if r.keep == nil || key.State != keystore.Retired || key.RetiredAt.IsZero() {
		return time.Time{}
	}
	return key.RetiredAt.Add(r.keep(env, key))
}

// publication returns what is published at this moment, nil for an environment
// that is not known.
func (r *Ring) publication(env playback.EnvironmentID) *publication {
	e := r.keys(env)
	if e == nil {
		return nil
	}
	for i := range e.published {
		if p := &e.published[i]; p.end.IsZero() || r.now().Before(p.end) {
			return p
		}
	}
	return nil
}
