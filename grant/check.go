package grant

import (
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/playgate/playgate/playback"
)

const (
	maxName       = 255 // characters of a viewer's ID, an alias, a tag
	maxAttributes = 4 << 10
	// maxTime is the last second of the year 9999, as far as RFC 3339 can write.
	maxTime = 253402300799
)

var grantID = regexp.MustCompile(`\A[A-Za-z0-9_-]{1,128}\z`)

// ValidID reports whether a text can be the ID of a grant.
func ValidID(id string) bool { return grantID.MatchString(id) }

// Check refuses a grant that means nothing, with invalid_field and the path of
// the member in JSON.
func Check(e *playback.Entitlement) error {
	for _, refusal := range [...]*playback.Error{checkWhose(e), checkWhat(e), checkWhen(e), checkAttributes(e)} {
		if refusal != nil {
			return refusal
		}
	}
	return nil
}

func refuse(path, format string, args ...any) *playback.Error {
	return playback.Errorf(playback.CodeInvalidField, path+": "+format, args...)
}

func checkWhose(e *playback.Entitlement) *playback.Error {
	switch {
	case !ValidID(e.ID):
		return refuse("id", "want 1 to 128 letters, digits, - and _")
	case !isName(e.Viewer):
		return refuse("viewer.id", "want 1 to %d characters, none of control", maxName)
	case !isName(e.Issuer):
		return refuse("viewer.issuer", "want the alias of the viewer's issuer")
	}
	return nil
}

func isName(s string) bool {
	return s != "" && utf8.RuneCountInString(s) <= maxName && utf8.ValidString(s) && !strings.ContainsFunc(s, unicode.IsControl)
}

func checkWhat(e *playback.Entitlement) *playback.Error {
	if !slices.Contains(playback.HeldTypes(), e.Type) {
		types := names(playback.HeldTypes())
		return refuse("type", "want one of %s%s", strings.Join(types, ", "), playback.DidYouMean(string(e.Type), types))
	}
	at, value := "scope."+string(e.Scope.Kind), e.Scope.Value
	switch e.Scope.Kind {
	case playback.ScopeAll:
		if value != "" {
			return refuse(at, "is everything: it takes no value")
		}
	case playback.ScopePlaybackID, playback.ScopeAsset, playback.ScopeLiveStream:
		if !playback.ID(value).Valid() { // one grammar for the three
			return refuse(at, "want 1 to 255 letters and digits")
		}
	case playback.ScopeTag:
		if !isName(value) || strings.Contains(value, ",") || value != strings.TrimSpace(value) {
			return refuse(at, "want 1 to %d characters, no commas, no spaces around", maxName)
		}
	default:
		return refuse("scope", "want exactly one of %s", strings.Join(names(playback.ScopeKinds()), ", "))
	}
	return nil
}

func names[T ~string](all []T) []string {
	out := make([]string, len(all))
	for i := range all {
		out[i] = string(all[i])
	}
	return out
}

func checkWhen(e *playback.Entitlement) *playback.Error {
	for _, t := range [...]struct {
		path string
		at   time.Time
	}{{"from", e.From}, {"until", e.Until}} {
		switch {
		case t.at.IsZero():
		case t.at.Unix() < 0:
			return refuse(t.path, "is before 1970-01-01T00:00:00Z, where Unix time begins")
		case t.at.Unix() > maxTime:
			return refuse(t.path, "is after the year 9999; want Unix seconds, not milliseconds")
		}
	}
	switch {
	case !e.From.IsZero() && !e.Until.IsZero() && !e.From.Before(e.Until):
		return refuse("until", "is not after from")
	case e.PlayWithin < 0 || e.PlayWithin%time.Second != 0:
		return refuse("play_within", "want whole seconds, at least one")
	}
	return nil
}

func checkAttributes(e *playback.Entitlement) *playback.Error {
	if len(e.Attributes) == 0 {
		return nil
	}
	text, err := json.Marshal(e.Attributes)
	switch {
	case err != nil:
		return refuse("attributes", "want JSON").Because(err)
	case len(text) > maxAttributes:
		return refuse("attributes", "is larger than %d bytes", maxAttributes)
	}
	return nil
}
