package server

import (
	"net/url"
	"strconv"
	"unicode/utf8"

	"github.com/gofiber/fiber/v2"

	"github.com/playgate/playgate/issuer"
	"github.com/playgate/playgate/middleware"
	"github.com/playgate/playgate/playback"
)

// Answers are appended to a buffer rather than encoded by reflection: they are
// small, of one shape, and on the path that every viewer takes.

// scribe writes one issuer.Answer.
type scribe struct {
	delivery *playback.Delivery
	answer   *issuer.Answer
	refresh  int64 // 0: null
}

// scribe returns a writer for the answer, with its own moment to come back.
func (s *Server) scribe(x *middleware.Exchange, answer *issuer.Answer) scribe {
	w := scribe{delivery: &mintingOf(x).Delivery, answer: answer}
	if answer.Signed() && (!answer.Lifetime.Cut || answer.Curtailed) {
		w.refresh = answer.Lifetime.RefreshAt(0.25 + 0.25*s.cfg.Rand())
	}
	return w
}

// send answers 200 with what was appended to x.Buf.
func send(c *fiber.Ctx, x *middleware.Exchange) error {
	c.Status(fiber.StatusOK)
	sendJSON(c, x)
	return nil
}

// appendSingle appends the answer of GET /v1/playback-ids/{id}/token.
func (w scribe) appendSingle(b []byte) []byte {
	item := &w.answer.Items[0]
	b = append(b, `{"data":{`...)
	b = w.appendCredential(b, item)
	b = append(b, `,"playback_id":`...)
	b = appendString(b, string(w.answer.Object.ID))
	b = append(b, `,"key_id":`...)
	b = appendOptional(b, string(w.answer.Key))
	b = append(b, `,"rule":`...)
	b = appendString(b, item.Rule)
	return append(b, "}}"...)
}

// appendBundle appends {"data":…} of POST /v1/tokens, of …/tokens and of an
// item of a batch. drm: the player gets a drm-token if there is one.
func (w scribe) appendBundle(b []byte, env playback.EnvironmentID, drm bool) []byte {
	a := w.answer
	b = append(b, `{"data":{"playback_id":`...)
	b = appendOptional(b, string(a.Object.ID))
	b = append(b, `,"policy":`...)
	b = appendOptional(b, string(a.Object.Policy))
	if a.Object.VideoID != "" {
		b = append(b, `,"video_id":`...)
		b = appendString(b, string(a.Object.VideoID))
	}
	b = append(b, `,"environment_id":`...)
	b = appendString(b, string(env))
	b = append(b, `,"rule":`...)
	b = appendString(b, a.Rule)
	b = append(b, `,"key_id":`...)
	b = appendOptional(b, string(a.Key))
	b = append(b, `,"tokens":[`...)
	for i := range a.Items {
		if i > 0 {
			b = append(b, ',')
		}
		b = w.appendItem(b, &a.Items[i])
	}
	b = append(b, `],"player":`...)
	b = w.appendPlayer(b, drm)
	return append(b, "}}"...)
}

func (w scribe) appendItem(b []byte, item *issuer.Item) []byte {
	b = append(b, '{')
	b = w.appendCredential(b, item)
	b = append(b, `,"rule":`...)
	b = appendString(b, item.Rule)
	b = append(b, `,"params":{`...)
	comma := false
	member := func(name, literal string) {
		if comma {
			b = append(b, ',')
		}
		comma = true
		b = append(appendString(b, name), ':')
		b = append(b, literal...)
	}
	for _, p := range item.Params {
		member(p.Name, p.JSON)
	}
	if item.Restriction != "" {
		member("playback_restriction_id", `"`+string(item.Restriction)+`"`) // its grammar has nothing to escape
	}
	if item.Custom != "" {
		member("custom", item.Custom)
	}
	return append(b, "}}"...)
}

// appendCredential appends the members that every form of an item has.
func (w scribe) appendCredential(b []byte, item *issuer.Item) []byte {
	b = append(b, `"type":"`...)
	b = append(b, item.Type.String()...)
	b = append(b, `","token":"`...)
	b = append(b, item.Token.Reveal()...)
	b = append(b, `","url":"`...)
	b = w.appendURL(b, playback.DefaultLocation(item.Type, w.answer.Object.ID), item)
	b = append(b, '"')
	if item.Type == playback.DRMLicense {
		b = w.appendLicenses(b, item)
	}
	if !w.answer.Object.NeedsToken(item.Type) {
		return append(b, `,"expires_at":null,"refresh_at":null`...)
	}
	b = append(b, `,"expires_at":`...)
	b = strconv.AppendInt(b, w.answer.Lifetime.Exp, 10)
	b = append(b, `,"refresh_at":`...)
	if w.refresh == 0 {
		return append(b, "null"...)
	}
	return strconv.AppendInt(b, w.refresh, 10)
}

// appendLicenses appends the URLs that one drm_license token opens.
func (w scribe) appendLicenses(b []byte, item *issuer.Item) []byte {
	id := string(w.answer.Object.ID)
	b = append(b, `,"urls":{`...)
	for i, l := range [...]struct{ name, path string }{
		{"widevine", "/license/widevine/"},
		{"playready", "/license/playready/"},
		{"fairplay", "/license/fairplay/"},
		{"fairplay_certificate", "/appcert/fairplay/"},
	} {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, '"')
		b = append(b, l.name...)
		b = append(b, `":"`...)
		b = w.appendURL(b, playback.Location{Host: playback.LicenseHost, Path: l.path + id}, item)
		b = append(b, '"')
	}
	return append(b, '}')
}

// appendURL appends a location with the item's token or, where the type needs
// none, the caller's parameters, as the inside of a JSON string.
func (w scribe) appendURL(b []byte, l playback.Location, item *issuer.Item) []byte {
	b = appendEscaped(b, w.delivery.Base(l.Host))
	b = append(b, l.Path...)
	if w.answer.Object.NeedsToken(item.Type) {
		b = append(b, "?token="...)
		return append(b, item.Token.Reveal()...)
	}
	for i, p := range item.Params {
		b = append(b, "?&"[min(i, 1)])
		b = append(b, p.Name...)
		b = append(b, '=')
		b = append(b, url.QueryEscape(p.Text())...)
	}
	return b
}

// appendPlayer appends what <mux-player> takes as attributes.
func (w scribe) appendPlayer(b []byte, drm bool) []byte {
	b = append(b, '{')
	comma := false
	for i := range w.answer.Items {
		item := &w.answer.Items[i]
		attribute := item.Type.PlayerAttribute()
		if attribute == "" || !w.answer.Object.NeedsToken(item.Type) || item.Type == playback.DRMLicense && !drm {
			continue
		}
		if comma {
			b = append(b, ',')
		}
		comma = true
		b = append(b, '"')
		b = append(b, attribute...)
		b = append(b, `":"`...)
		b = append(b, item.Token.Reveal()...)
		b = append(b, '"')
	}
	return append(b, '}')
}

// appendOptional appends a JSON string, null for "".
func appendOptional(b []byte, s string) []byte {
	if s == "" {
		return append(b, "null"...)
	}
	return appendString(b, s)
}

// appendString appends a JSON string.
func appendString(b []byte, s string) []byte {
	b = append(b, '"')
	b = appendEscaped(b, s)
	return append(b, '"')
}

// appendEscaped appends the inside of a JSON string: quotes, backslashes and
// control characters escaped, and what is not UTF-8 replaced.
func appendEscaped(b []byte, s string) []byte {
	const hex = "0123456789abcdef"
	from := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c >= ' ' && c < utf8.RuneSelf && c != '"' && c != '\\' {
			i++
			continue
		}
		symbol, size := utf8.DecodeRuneInString(s[i:])
		if c >= utf8.RuneSelf && (symbol != utf8.RuneError || size > 1) {
			i += size
			continue
		}
		b = append(b, s[from:i]...)
		switch {
		case c >= utf8.RuneSelf:
			b = append(b, "\uFFFD"...)
		case c == '"' || c == '\\':
			b = append(b, '\\', c)
		default:
			b = append(b, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		}
		i += size
		from = i
	}
	return append(b, s[from:]...)
}
