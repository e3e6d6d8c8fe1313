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

	"github.com/playgate/playgate/playback"
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
		at, problem := instant(members[field.name])
		if problem != "" {
			return Life{}, fmt.Errorf("has a %s that %s", field.name, problem)
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

// Unread says which members of a state document nothing reads; "" of none. Those
// that begin with x- are its owner's. likely: only what is probably a misspelt
// member, for documents that hold more than a state.
func Unread(members map[string]any, likely bool) string {
	var unread []string
	for _, name := range slices.Sorted(maps.Keys(members)) {
		meant := playback.DidYouMean(name, lifeMembers())
		if slices.Contains(lifeMembers(), name) || strings.HasPrefix(name, "x-") || likely && meant == "" {
			continue
		}
		unread = append(unread, fmt.Sprintf("%.40q%s", name, meant))
	}
	switch {
	case len(unread) == 0:
		return ""
	case len(unread) > maxUnread:
		unread = append(unread[:maxUnread], fmt.Sprintf("and %d more", len(unread)-maxUnread))
	}
	return "has members that nothing reads: " + strings.Join(unread, "; ")
}

// maxUnread bounds the members that a warning names.
const maxUnread = 3

func onlyKnown(members map[string]any) error {
	for name := range members {
		if !slices.Contains(lifeMembers(), name) {
			return fmt.Errorf("has no state, but the unknown member %.40q", name)
		}
	}
	return nil
}

// What is wrong with a time of a state document.
const (
	notTime    = "is malformed; want Unix seconds or an RFC 3339 time"
	before1970 = "is before 1970-01-01T00:00:00Z, where Unix time begins"
	after9999  = "is after the year 9999; want Unix seconds, not milliseconds"
)

// instant reads a time of a state document; absent is the zero time.
func instant(value any) (at time.Time, problem string) {
	var text string
	switch value := value.(type) {
	case nil:
		return time.Time{}, ""
	case json.Number:
		return unix(value.String())
	case string:
		text = value
	default:
		return time.Time{}, notTime
	}
	if text == "" {
		return time.Time{}, ""
	}
	if strings.Trim(strings.TrimPrefix(text, "-"), "0123456789") == "" {
		return unix(text)
	}
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return time.Time{}, notTime
	}
	return within(at)
}

func unix(digits string) (at time.Time, problem string) {
	n, err := strconv.ParseInt(digits, 10, 64)
	switch {
	case errors.Is(err, strconv.ErrRange):
		return time.Time{}, after9999
	case err != nil:
		return time.Time{}, notTime
	case n == 0:
		return time.Time{}, ""
	}
	return within(time.Unix(n, 0))
}

func within(at time.Time) (_ time.Time, problem string) {
	switch n := at.Unix(); {
	case n < 0:
		return time.Time{}, before1970
	case n > lastSecond:
		return time.Time{}, after9999
	}
	return at.UTC(), ""
}
