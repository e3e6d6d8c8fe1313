package server

import (
	"net/url"

	"github.com/gofiber/fiber/v2"

	"github.com/playgate/playgate/issuer"
	"github.com/playgate/playgate/middleware"
	"github.com/playgate/playgate/playback"
)

// follow answers the redirects to a playback ID's manifest, files, images and
// licences.
func follow(s *Server, r *compiled, c *fiber.Ctx, x *middleware.Exchange) error {
	k := newCall(c, x, r.value(x, "id"))
	defer k.release()
	if err := k.checkPlaybackID("playback_id"); err != nil {
		return err
	}
	path := string(r.appendTarget(nil, x))
	if r.to.file {
		k.File = path[len("/")+len(k.PlaybackID)+len("/"):]
	}
	query := asked{k: k, kind: r.to.kind, ignore: true, viewerQ: x.Environment.ViewerQuery}
	if err := query.read(rawQuery(c)); err != nil {
		return err
	}
	k.want(r.to.kind)
	return s.redirect(c, x, k, playback.Location{Host: r.to.host, Path: path})
}

// followCounts answers GET /stats/counts, whose query says what is counted.
func followCounts(s *Server, r *compiled, c *fiber.Ctx, x *middleware.Exchange) error {
	k := newCall(c, x, "")
	defer k.release()
	kind, err := readCounted(k, rawQuery(c))
	if err != nil {
		return err
	}
	query := asked{k: k, kind: kind, ignore: true, viewerQ: x.Environment.ViewerQuery}
	if err := query.read(rawQuery(c)); err != nil {
		return err
	}
	k.want(kind)
	return s.redirect(c, x, k, playback.Location{Host: r.to.host, Path: r.to.path})
}

// readCounted reads what viewers are counted of: exactly one of three IDs.
func readCounted(k *call, raw string) (playback.TokenType, *playback.Error) {
	var playbackID, asset, live string
	q := middleware.Query{Rest: raw}
	for q.Next() {
		var id *string
		switch q.Name {
		case "playback_id":
			id = &playbackID
		case "asset_id":
			id = &asset
		case "live_stream_id":
			id = &live
		default:
			continue
		}
		if *id != "" {
			return 0, repeated(q.Name)
		}
		if !playback.ID(q.Value).Valid() { // one grammar for the three; what is badly encoded fails it too
			if id == &playbackID {
				return 0, playback.Errorf(playback.CodeInvalidPlaybackID, "playback_id: want 1 to 255 letters and digits")
			}
			return 0, fieldError(q.Name, "want 1 to 255 letters and digits")
		}
		*id = q.Value
	}
	keep(&playbackID, &asset, &live)
	k.PlaybackID, k.AssetID, k.LiveStreamID = playback.ID(playbackID), playback.AssetID(asset), playback.LiveStreamID(live)
	switch {
	case asset == "" && live == "" && playbackID != "":
		return playback.Stats, nil
	case playbackID == "" && live == "" && asset != "":
		return playback.StatsAsset, nil
	case playbackID == "" && asset == "" && live != "":
		return playback.StatsLiveStream, nil
	}
	return 0, fieldError("query", "want exactly one of playback_id, asset_id, live_stream_id")
}

// redirect issues the one token of a redirect and sends the client on: with
// the token alone or, where Mux wants none, with what it asked. HEAD, which
// begins no rental, gets no token that would.
func (s *Server) redirect(c *fiber.Ctx, x *middleware.Exchange, k *call, l playback.Location) error {
	answer, err := s.issue(x, k, issueTimeout)
	if err != nil {
		return err
	}
	record(c, x, answer)
	b := x.Buf[:0]
	b = append(b, mintingOf(x).Delivery.Base(l.Host)...)
	b = append(b, l.Path...)
	if !answer.Signed() {
		b = appendPublicQuery(b, rawQuery(c), x.Snapshot, &answer.Items[0])
	} else if !answer.Withheld {
		b = append(b, "?token="...)
		b = append(b, answer.Items[0].Token.Reveal()...)
	}
	x.Buf = b
	h := &c.Response().Header
	h.SetCanonical([]byte(fiber.HeaderLocation), b)
	// Mux's referrer restrictions look at the page's host, and need no more.
	h.SetCanonical([]byte(fiber.HeaderReferrerPolicy), []byte("strict-origin"))
	h.SetContentLength(0) // fasthttp leaves it out for HEAD
	c.Status(fiber.StatusFound)
	if c.Method() == post {
		c.Status(fiber.StatusTemporaryRedirect) // the client sends its body there
	}
	return nil
}

// appendPublicQuery appends the query that goes on to a public playback ID:
// what stood there without token and without anything that is a viewer_query
// here or in another environment (a client that mixes them up must not spill a
// credential), known parameters in canonical form and without those that a rule
// forces, the rest as it stands there.
func appendPublicQuery(b []byte, raw string, snapshot *middleware.Snapshot, item *issuer.Item) []byte {
	separator := byte('?')
	q := middleware.Query{Rest: raw}
	for q.Next() {
		if q.Name == "token" || snapshot.IsViewerQuery(q.Name) {
			continue
		}
		value := q.Value
		if playback.KnownParam(item.Type, q.Name) {
			p, ok := item.Params.Get(q.Name)
			if !ok {
				continue
			}
			value = p.Text()
		}
		b = append(b, separator)
		separator = '&'
		if value == q.Value {
			b = appendPrintable(b, q.Raw)
			continue
		}
		b = append(b, q.Name...)
		b = append(b, '=')
		b = append(b, url.QueryEscape(value)...)
	}
	return b
}

// appendPrintable appends a piece of a query as it stands there, except for
// bytes that no URI may have (RFC 3986 §2), which are percent-encoded: they are
// on their way into a header.
func appendPrintable(b []byte, raw string) []byte {
	const hex = "0123456789ABCDEF"
	for i := range len(raw) {
		if c := raw[i]; c <= ' ' || c >= 0x7f || c == '"' || c == '<' || c == '>' || c == '#' {
			b = append(b, '%', hex[c>>4], hex[c&15])
			continue
		}
		b = append(b, raw[i])
	}
	return b
}
