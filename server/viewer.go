package server

import (
	"net/netip"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/playgate/playgate/playback"
	"github.com/playgate/playgate/tenant"
)

const (
	maxViewerID = 255  // characters
	maxCustom   = 1024 // bytes of a backend's custom claims
	maxASN      = 1<<32 - 1
)

// readViewer takes over what a backend of an environment says of the viewer that
// it asks for. Only that counts: nothing of the backend's own connection does.
func (k *call) readViewer(v *jsonValue, at string, env *tenant.Environment) *playback.Error {
	if v.kind != jsonObject {
		return fieldError(at, "want an object")
	}
	viewer := &playback.Viewer{}
	for i := range v.children {
		m := &v.children[i]
		if m.value.kind == jsonNull && isViewerMember(m.name) {
			continue
		}
		if err := k.viewerMember(viewer, m, join(at, m.name)); err != nil {
			return err
		}
	}
	if k.client.Country != playback.UnknownCountry || k.client.Region != "" || k.client.ASN != 0 {
		k.client.GeoSource = playback.GeoBackend
	}
	viewer.Authenticated = viewer.ID != ""
	if viewer.Authenticated || viewer.Issuer != "" {
		alias, err := aliasOf(env, viewer.Issuer, join(at, "issuer"))
		if err != nil {
			return err
		}
		viewer.Issuer = alias
	}
	if !viewer.Authenticated {
		viewer.Issuer = ""
	}
	k.Viewer = viewer
	return nil
}

// aliasOf returns the alias of the issuer that a backend names at a path. A name
// that no issuer has is refused: a grant or a viewer under it would never meet
// who signs in.
func aliasOf(env *tenant.Environment, name, at string) (string, *playback.Error) {
	alias, err := env.AliasOf(name)
	if err != nil {
		return "", fieldError(at, err.Error())
	}
	return alias, nil
}

func isViewerMember(name string) bool {
	switch name {
	case "issuer", "id", "claims", "ip", "country", "region", "asn", "referrer", "origin", "user_agent":
		return true
	}
	return false
}

func (k *call) viewerMember(viewer *playback.Viewer, m *jsonMember, at string) (err *playback.Error) {
	v := &m.value
	switch m.name {
	case "issuer":
		viewer.Issuer, err = name(v, at)
	case "id":
		viewer.ID, err = name(v, at)
	case "claims":
		if v.kind != jsonObject {
			return fieldError(at, "want an object")
		}
		if viewer.Claims, err = freeObject(v); err != nil {
			err.Message = under(at, err.Message)
		}
	case "ip":
		addr, parseErr := netip.ParseAddr(v.text)
		if v.kind != jsonString || parseErr != nil || addr.Zone() != "" {
			return fieldError(at, "want an IP address")
		}
		k.client.IP = addr.Unmap()
	case "country":
		if v.kind != jsonString || !isCountry(v.text) {
			return fieldError(at, "want two capital letters, as in ISO 3166-1")
		}
		k.client.Country = v.text
	case "asn":
		n, parseErr := strconv.ParseInt(v.text, 10, 64)
		if v.kind != jsonNumber || parseErr != nil || n < 0 || n > maxASN {
			return fieldError(at, "want an integer from 0 to 4294967295")
		}
		k.client.ASN = n
	case "region":
		k.client.Region, err = text(v, at, maxViewerID)
	case "referrer":
		k.client.Referrer, err = text(v, at, maxHint)
	case "origin":
		k.client.Origin, err = text(v, at, maxHint)
	case "user_agent":
		k.client.UserAgent, err = text(v, at, maxHint)
	default:
		return fieldError(at, "is not known")
	}
	return err
}

// text returns a string of at most limit characters.
func text(v *jsonValue, at string, limit int) (string, *playback.Error) {
	if v.kind != jsonString || utf8.RuneCountInString(v.text) > limit {
		return "", fieldError(at, "want a string of at most "+strconv.Itoa(limit)+" characters")
	}
	return v.text, nil
}

// name returns a string that identifies: it is not empty, and has no control
// characters, which a viewer token's sub has not either, and of which NUL could
// not be asked for in every store.
func name(v *jsonValue, at string) (string, *playback.Error) {
	if v.kind != jsonString || !isIdentity(v.text) {
		return "", fieldError(at, "want a string of 1 to "+strconv.Itoa(maxViewerID)+" characters, none of control")
	}
	return v.text, nil
}

// isIdentity reports whether a text can name a viewer or an issuer.
func isIdentity(s string) bool {
	return s != "" && utf8.RuneCountInString(s) <= maxViewerID && !strings.ContainsFunc(s, unicode.IsControl)
}

func isCountry(s string) bool {
	return len(s) == 2 && s[0] >= 'A' && s[0] <= 'Z' && s[1] >= 'A' && s[1] <= 'Z'
}

// readCustom takes over a backend's custom claims.
func (k *call) readCustom(v *jsonValue, at string) *playback.Error {
	if v.kind != jsonObject {
		return fieldError(at, "want an object")
	}
	if _, err := freeObject(v); err != nil { // a number that no verifier can read would spoil the token
		err.Message = under(at, err.Message)
		return err
	}
	if size := len(appendCanonical(nil, v)); size > maxCustom {
		return fieldError(at, "is larger than "+strconv.Itoa(maxCustom)+" bytes")
	}
	if len(v.children) == 0 {
		return nil
	}
	k.Custom = make(map[string]string, len(v.children))
	for i := range v.children {
		m := &v.children[i]
		k.Custom[m.name] = string(appendCanonical(nil, &m.value))
	}
	return nil
}
