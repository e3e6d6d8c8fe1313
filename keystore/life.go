package keystore

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Life is what a source says of a key besides its material: a state document.
type Life struct {
	State       State     // Stateless: the document names none
	CreatedAt   time.Time // zero: unknown
	ActivatedAt time.Time // zero: unknown
	RetiredAt   time.Time // zero: unknown, or not retired
	// External: the private half came from elsewhere, or was handed out, so
	// tokens may exist that the gateway has not signed.
	External bool
}

// Document returns the members of a state document that ParseLife and LifeOf
// read back as the same Life, to the second: times are RFC 3339, and what is
// not known is left out.
func (l Life) Document() map[string]any {
	document := map[string]any{}
	if l.State != Stateless {
		document["state"] = string(l.State)
	}
	for _, field := range []struct {
		name string
		at   time.Time
	}{{"created_at", l.CreatedAt}, {"activated_at", l.ActivatedAt}, {"retired_at", l.RetiredAt}} {
		if !field.at.IsZero() {
			document[field.name] = field.at.UTC().Format(time.RFC3339)
		}
	}
	if l.External {
		document["external"] = true
	}
	return document
}

// Over returns the members of a document with the life in place of the one that
// they hold. All other members stay. The given map is not changed.
func (l Life) Over(members map[string]any) map[string]any {
	merged := maps.Clone(members)
	if merged == nil {
		merged = map[string]any{}
	}
	for _, name := range lifeMembers() {
		delete(merged, name)
	}
	maps.Copy(merged, l.Document())
	return merged
}

// lifeMembers are the names that Document may use.
func lifeMembers() []string {
	return []string{"state", "created_at", "activated_at", "retired_at", "external"}
}

// maxDocument bounds a state document, in bytes.
const maxDocument = 16 << 10

// lastSecond is the last second of the year 9999. Later "seconds" are mostly
// milliseconds.
const lastSecond = 253402300799

// ParseLife reads the state document beside a key file:
//
//	{"state":"prepared|active|retired","created_at":…,"activated_at":…,"retired_at":…,"external":true|false}
//
// Every member may be absent or null. A time is Unix seconds, as an integer or
// as a string of digits (Mux's way), or an RFC 3339 string; 0 and "" mean not
// known. Members that nobody knows are ignored, unless the document names no
// state: then they are probably a misspelt one, and a key must not become
// active by a typing error.
func ParseLife(document []byte) (Life, error) {
	if len(document) > maxDocument {
		return Life{}, fmt.Errorf("is larger than %d bytes, so it is not a state document", maxDocument)
	}
	dec := json.NewDecoder(bytes.NewReader(document))
	dec.UseNumber()
	var members map[string]any
	if err := dec.Decode(&members); err != nil {
		return Life{}, fmt.Errorf("is not a JSON object: %w", err)
	}
	if members == nil {
		return Life{}, errors.New("is not a JSON object: null")
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return Life{}, errors.New("has text after the JSON object")
	}
	life, err := LifeOf(members)
	if err == nil && life.State == Stateless {
		err = onlyKnown(members)
	}
	if err != nil {
		return Life{}, err
	}
	return life, nil
}

// LifeOf reads the members of a state document that has been decoded with
// json.Decoder.UseNumber, by the rules of ParseLife. All other members are
// ignored: a Vault entry holds the key beside them, and whatever its owner
// notes there.
func LifeOf(members map[string]any) (Life, error) {
	var life Life
	switch state := members["state"].(type) {
	case nil:
	case string:
		life.State = State(state)
		if !slices.Contains([]State{Prepared, Active, Retired}, life.State) {
			return Life{}, fmt.Errorf("has the unknown state %.40q; want prepared, active or retired", state)
		}
	default:
		return Life{}, errors.New("has a state that is not a string; want prepared, active or retired")
	}
	for _, field := range []struct {
		name string
		into *time.Time
	}{{"created_at", &life.CreatedAt}, {"activated_at", &life.ActivatedAt}, {"retired_at", &life.RetiredAt}} {
		at, ok := instant(members[field.name])
		if !ok {
			return Life{}, fmt.Errorf("has a malformed %s; want Unix seconds or an RFC 3339 time", field.name)
		}
		*field.into = at
	}
	switch external := members["external"].(type) {
	case nil:
	case bool:
		life.External = external
	default:
		return Life{}, errors.New("has a malformed external; want true or false")
	}
	return life, nil
}

func onlyKnown(members map[string]any) error {
	for name := range members {
		if !slices.Contains(lifeMembers(), name) {
			return fmt.Errorf("has no state, but the unknown member %.40q", name)
		}
	}
	return nil
}

// instant reads a time of a state document; absent is the zero time.
func instant(value any) (time.Time, bool) {
	var text string
	switch value := value.(type) {
	case nil:
		return time.Time{}, true
	case json.Number:
		return unix(value.String())
	case string:
		text = value
	default:
		return time.Time{}, false
	}
	if text == "" {
		return time.Time{}, true
	}
	if strings.Trim(text, "0123456789") == "" {
		return unix(text)
	}
	at, err := time.Parse(time.RFC3339, text)
	if err != nil || at.Unix() < 0 || at.Unix() > lastSecond {
		return time.Time{}, false
	}
	return at.UTC(), true
}

func unix(digits string) (time.Time, bool) {
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || n < 0 || n > lastSecond {
		return time.Time{}, false
	}
	if n == 0 {
		return time.Time{}, true
	}
	return time.Unix(n, 0).UTC(), true
}
