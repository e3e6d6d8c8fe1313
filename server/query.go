package server

import (
	"strings"

	"github.com/gofiber/fiber/v2"
	"github.com/gofiber/fiber/v2/utils"

	"github.com/playgate/playgate/middleware"
	"github.com/playgate/playgate/playback"
)

// asked is a query that is being read: what of it is a parameter of the type,
// and whether what is none is refused or ignored.
type asked struct {
	k       *call
	kind    playback.TokenType
	ignore  bool // what is not known: the redirects', where players add what they like
	noType  bool // …/tokens: no type, no parameters
	minTTL  bool // min_ttl is read
	seen    seenName
	viewerQ string // the environment's viewer_query, "" for none
}

// seenName remembers the names that may stand there once and are no parameter.
type seenName uint8

const (
	seenType seenName = 1 << iota
	seenMinTTL
	seenSession
	seenViewer
)

func repeated(name string) *playback.Error {
	return playback.Errorf(playback.CodeInvalidParam, "%s: is given twice", name)
}

// once notes a name, and refuses it the second time.
func (a *asked) once(name seenName, text string) *playback.Error {
	if a.seen&name != 0 {
		return repeated(text)
	}
	a.seen |= name
	return nil
}

func rawQuery(c *fiber.Ctx) string { return utils.UnsafeString(c.Request().URI().QueryString()) }

// read reads a query. The names that are always taken out are the
// environment's viewer_query, and the redirects' own token.
func (a *asked) read(raw string) *playback.Error {
	q := middleware.Query{Rest: raw}
	for q.Next() {
		if q.Err != nil {
			if a.ignore && !a.reads(q.Name) {
				continue
			}
			return playback.Errorf(playback.CodeInvalidParam, "%s: %s", join("", q.Name), "is not percent-encoded UTF-8")
		}
		if err := a.pair(q.Name, q.Value); err != nil {
			return err
		}
	}
	return playback.CheckSent(a.kind, a.k.Params[a.kind])
}

// reads reports whether a name means something here. Where others are ignored,
// they are so however they are encoded: a cache buster is nobody's business.
func (a *asked) reads(name string) bool {
	return name == "session_id" || a.viewerQ != "" && name == a.viewerQ ||
		playback.IsReservedClaim(name) || playback.KnownParam(a.kind, name)
}

// others are the names that may stand here and are no parameters of the type.
func (a *asked) others() []string {
	others := []string{"session_id"}
	if a.minTTL {
		others = append(others, "min_ttl")
	}
	if !a.ignore && !a.noType {
		others = append(others, "type")
	}
	return others
}

func (a *asked) pair(name, value string) *playback.Error {
	switch {
	case a.viewerQ != "" && name == a.viewerQ:
		return a.once(seenViewer, name)
	case a.ignore && name == "token":
		return nil
	case name == "type" && !a.ignore && !a.noType:
		return a.once(seenType, name) // readType has read it
	case name == "min_ttl" && a.minTTL:
		if err := a.once(seenMinTTL, name); err != nil {
			return err
		}
		return a.k.setMinTTL(value, name)
	case name == "session_id":
		if err := a.once(seenSession, name); err != nil {
			return err
		}
		return a.k.setSession(strings.Clone(value), name)
	}
	return a.param(name, value)
}

func (a *asked) param(name, value string) *playback.Error {
	switch {
	case playback.IsReservedClaim(name):
		return notAParam(a.kind, name)
	case a.noType:
		return playback.Errorf(playback.CodeUnknownParam, "%s: is not known here%s", join("", name), playback.DidYouMean(name, a.others()))
	case playback.KnownParam(a.kind, name):
	case a.ignore:
		return nil
	default:
		return notAParam(a.kind, name, a.others()...)
	}
	p, err := playback.ParseParam(a.kind, name, strings.Clone(value)) // a bool's literal is the value itself
	if err != nil {
		return err
	}
	params := a.k.Params[a.kind]
	if _, ok := params.Get(p.Name); ok {
		return repeated(p.Name)
	}
	a.k.Params[a.kind] = params.With(p)
	return nil
}

// readType reads the type of GET …/token, which decides how the rest is read.
func readType(raw string) (playback.TokenType, *playback.Error) {
	q := middleware.Query{Rest: raw}
	for q.Next() {
		if q.Name != "type" || q.Err != nil {
			continue
		}
		t, ok := playback.ParseTokenType(q.Value)
		if !ok {
			return 0, unknownType(q.Value, "type")
		}
		return t, nil
	}
	return playback.Video, nil
}

func unknownType(name, path string) *playback.Error {
	return playback.Errorf(playback.CodeUnknownType, "%s: there is no type %s%s", path, join("", name), playback.DidYouMean(name, append(playback.TokenTypeNames(), "playback")))
}

func (k *call) setMinTTL(text, path string) *playback.Error {
	d, err := playback.ParseDuration(text)
	if err != nil || d <= 0 {
		return fieldError(path, "want integer seconds, or 90s, 15m, 1h, 7d, above zero")
	}
	k.MinTTL = d
	return nil
}

func (k *call) setSession(text, path string) *playback.Error {
	k.SessionID = playback.SessionID(text)
	if !k.SessionID.Valid() {
		return fieldError(path, "want 1 to 64 letters, digits, - or _")
	}
	return nil
}

func (k *call) checkPlaybackID(path string) *playback.Error {
	if !k.PlaybackID.Valid() {
		return playback.Errorf(playback.CodeInvalidPlaybackID, "%s: want 1 to 255 letters and digits", path)
	}
	return nil
}
