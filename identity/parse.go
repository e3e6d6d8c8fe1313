package identity

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
)

const maxKeys = 256 // of one set

// ReadKeySet reads a JSON Web Key Set (RFC 7517 §5) as the background refresh
// does, for check-config. It returns how many keys could verify viewer tokens,
// and for each other one that is not for encryption why not; the error says
// that it is no key set at all.
func ReadKeySet(body []byte) (usable int, dropped []string, err error) {
	set, err := parseKeys(body, "")
	return len(set.keys), set.dropped, err
}

// parsedSet is what a document says, key by key.
type parsedSet struct {
	keys      []*key   // those that could verify
	dropped   []string // why others must not be used
	unrelated int      // keys that are for encryption
}

// parseKeys reads the keys of a set. A key that must not be used is dropped
// and described; the others count. One that is listed again is the same object,
// so that its withdrawal reaches whoever remembers it. location is the URL that
// the document was read from, "" for none.
func parseKeys(body []byte, location string) (set parsedSet, err error) {
	body = bytes.TrimPrefix(body, []byte("\ufeff")) // a parser may ignore it (RFC 8259 §8.1)
	var members map[string]json.RawMessage
	var list []json.RawMessage
	if json.Unmarshal(body, &members) != nil || json.Unmarshal(members["keys"], &list) != nil || list == nil {
		return parsedSet{}, recognize(body, location)
	}
	listed := make(map[identifier]*key)
	for n, raw := range list {
		if len(set.keys) == maxKeys {
			set.dropped = append(set.dropped, fmt.Sprintf("those after the first %d usable ones", maxKeys))
			return set, nil
		}
		k, err := parseKey(raw)
		if purpose, ok := errors.AsType[*otherPurposeError](err); ok && purpose.encrypt {
			set.unrelated++
			continue
		}
		if err != nil {
			set.dropped = append(set.dropped, fmt.Sprintf("keys[%d]: %s", n, err))
			continue
		}
		if same, again := listed[k.identifier]; again {
			k = same
		}
		listed[k.identifier] = k
		set.keys = append(set.keys, k)
	}
	return set, nil
}
