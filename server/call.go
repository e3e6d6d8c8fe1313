package server

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/gofiber/fiber/v2"
	"github.com/gofiber/fiber/v2/utils"

	"github.com/playgate/playgate/issuer"
	"github.com/playgate/playgate/middleware"
	"github.com/playgate/playgate/playback"
)

// maxHint bounds what rules get of a Referer, an Origin or a User-Agent,
// bytes.
const maxHint = 2048

// call is one issuer.Request with everything it points to. Calls are pooled:
// garbage of their size on every hit would have the collector go through the
// whole token cache several times a second. What the issuer and the rooms
// behind it may keep beyond Issue (strings, parameters) is not part of a call.
type call struct {
	issuer.Request

	client playback.Client
	types  [playback.TokenTypes]playback.TokenType
	limit  *deadline // nil or unused between requests
}

var calls = sync.Pool{New: func() any { return new(call) }} //nolint:gochecknoglobals // a pool has no state that anyone can observe

// release gives the call back, with the answer that was made on it, and the
// memory that it has; but not a deadline that somebody has waited with, who may
// look at it again.
func (k *call) release() {
	limit, space := k.limit, k.Workspace()
	*k = call{}
	k.Lend(space)
	if limit != nil && !limit.used() {
		k.limit = limit
	}
	calls.Put(k)
}

// newCall begins a request for tokens with what is known of the caller. id is
// the playback ID of the path, "" if the body names one; it is copied. Who
// has written the answer releases the call.
func newCall(c *fiber.Ctx, x *middleware.Exchange, id string) *call {
	k := calls.Get().(*call) //nolint:forcetypeassert // the pool holds nothing else
	k.Caller, k.RequestID, k.Now = x.Fair(), x.ID, x.Now
	k.Passive = c.Method() == fiber.MethodHead
	k.client.Country = playback.UnknownCountry
	k.Client = &k.client
	if x.Kind == middleware.BackendCaller {
		k.Backend = true
		k.Viewer = &playback.Viewer{}
		k.PlaybackID = playback.ID(strings.Clone(id))
		return k
	}
	k.Viewer = x.Viewer
	k.client.IP = x.Client
	k.client.Referrer = hint(c.Request().Header.PeekCanonical([]byte(fiber.HeaderReferer)))
	k.client.Origin = hint(c.Request().Header.PeekCanonical([]byte(fiber.HeaderOrigin)))
	k.client.UserAgent = hint(c.Request().Header.UserAgent())
	k.PlaybackID = playback.ID(id)
	keep((*string)(&k.PlaybackID), &k.client.Referrer, &k.client.Origin, &k.client.UserAgent)
	if mintingOf(x).ReadsPlace {
		x.Server.(*Snapshot).place.locate(c, x, &k.client) //nolint:forcetypeassert // open put it there
	}
	return k
}

// hint returns a header's value as rules may see it, still a view: valid
// UTF-8 and no longer than maxHint.
func hint(value []byte) string {
	if len(value) > maxHint {
		value = value[:maxHint]
	}
	text := utils.UnsafeString(value)
	if !utf8.ValidString(text) {
		return strings.ToValidUTF8(text, "")
	}
	return text
}

// keep replaces views by copies, all in one allocation.
func keep(views ...*string) {
	n := 0
	for _, v := range views {
		n += len(*v)
	}
	if n == 0 {
		return
	}
	all := make([]byte, 0, n)
	for _, v := range views {
		all = append(all, *v...)
	}
	text := utils.UnsafeString(all) // never written to again
	for _, v := range views {
		*v, text = text[:len(*v)], text[len(*v):]
	}
}

// want adds a type to the request unless it has it already.
func (k *call) want(t playback.TokenType) {
	if slices.Contains(k.Types, t) {
		return
	}
	k.types[len(k.Types)] = t
	k.Types = k.types[:len(k.Types)+1]
}

// issueTimeout is how long a request may wait for its tokens, whole: a batch
// has no more time than a single request.
const issueTimeout = 5 * time.Second

// issue asks the issuer, for at most the given time.
func (s *Server) issue(x *middleware.Exchange, k *call, within time.Duration) (*issuer.Answer, error) {
	if k.limit == nil {
		k.limit = &deadline{}
	}
	k.limit.after = within
	defer k.limit.end()
	answer, err := s.cfg.Issuer.Issue(k.limit, mintingOf(x), &k.Request)
	if _, told := errors.AsType[*playback.Error](err); !told && errors.Is(err, context.DeadlineExceeded) {
		return nil, playback.Errorf(playback.CodeSigningOverloaded, "The answer took too long.").Because(err)
	}
	return answer, err
}

// record tells the access log, and in X-Playgate-Cache the client, what became
// of an answer; X-Playgate-Degraded names what it had to do without. Where no
// type needed a token, neither applies.
func record(c *fiber.Ctx, x *middleware.Exchange, answer *issuer.Answer) {
	x.Outcome.Rule = answer.Rule
	if !answer.Signed() {
		return
	}
	tellCache(c, x, answer.Hit)
	if answer.Stale {
		x.Outcome.Degraded = "keys"
		c.Response().Header.SetCanonical([]byte("X-Playgate-Degraded"), []byte("keys"))
	}
}

func tellCache(c *fiber.Ctx, x *middleware.Exchange, hit bool) {
	x.Outcome.Cache = "miss"
	if hit {
		x.Outcome.Cache = "hit"
	}
	c.Response().Header.SetCanonical([]byte("X-Playgate-Cache"), utils.UnsafeBytes(x.Outcome.Cache))
}
