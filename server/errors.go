package server

import (
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"

	"github.com/playgate/playgate/middleware"
	"github.com/playgate/playgate/playback"
)

// What goes wrong before there is a request that contract §8 could speak of.
const (
	codeInvalidRequest playback.Code = "invalid_request" //nolint:errname // a code, as playback has them
	codeRequestTimeout playback.Code = "request_timeout" //nolint:errname // the same
	codeOverloaded     playback.Code = "overloaded"      //nolint:errname // the same
	kindRequestTimeout playback.Kind = "request_timeout"
)

// transportCodes are the additions to playback.Codes that only this package
// answers with.
func transportCodes() []playback.CodeDoc {
	return []playback.CodeDoc{
		{Code: codeInvalidRequest, Kind: playback.InvalidParameters, Meaning: "What was sent is not one complete and well-formed HTTP/1.1 request. The connection is closed."},
		{Code: codeRequestTimeout, Kind: kindRequestTimeout, Meaning: "The request did not arrive within 5 seconds."},
		{Code: codeOverloaded, Kind: playback.ServiceUnavailable, Meaning: "The memory limit has no room for the request's body beside those of others; wait for Retry-After."},
	}
}

func invalidRequest() *playback.Error {
	return &playback.Error{Kind: playback.InvalidParameters, Code: codeInvalidRequest, Message: "This is not a complete and well-formed HTTP/1.1 request."}
}

func requestTimeout() *playback.Error {
	return &playback.Error{Kind: kindRequestTimeout, Code: codeRequestTimeout, Message: "The request did not arrive in time."}
}

// overloaded is the refusal of a body that there is no memory for.
func overloaded() *playback.Error {
	return &playback.Error{Kind: playback.ServiceUnavailable, Code: codeOverloaded, Message: "Too much is being sent to the gateway.", RetryAfter: overloadedRetry}
}

// overloadedRetry is how long who was refused for want of memory is asked to wait:
// bodies that stall give theirs back in that time.
const overloadedRetry = time.Second

// Status returns the HTTP status of a kind of error (contract §8).
func Status(kind playback.Kind) int {
	switch kind {
	case playback.InvalidParameters:
		return fiber.StatusBadRequest
	case playback.Unauthorized:
		return fiber.StatusUnauthorized
	case playback.Forbidden:
		return fiber.StatusForbidden
	case playback.NotFound:
		return fiber.StatusNotFound
	case playback.MethodNotAllowed:
		return fiber.StatusMethodNotAllowed
	case playback.Conflict:
		return fiber.StatusConflict
	case playback.PreconditionFailed:
		return fiber.StatusPreconditionFailed
	case playback.PayloadTooLarge:
		return fiber.StatusRequestEntityTooLarge
	case playback.UnsupportedMediaType:
		return fiber.StatusUnsupportedMediaType
	case playback.TooManyRequests:
		return fiber.StatusTooManyRequests
	case playback.HeadersTooLarge:
		return fiber.StatusRequestHeaderFieldsTooLarge
	case playback.ServiceUnavailable:
		return fiber.StatusServiceUnavailable
	case kindRequestTimeout:
		return fiber.StatusRequestTimeout
	case playback.InternalError:
	}
	return fiber.StatusInternalServerError
}

// internalMessage is all that a client learns of a bug.
const internalMessage = "The gateway failed to answer. Its log has the cause under the request ID."

// refusalOf returns what to answer for an error. One that no one foresaw is an
// internal error, with the error as its cause.
func refusalOf(err error) *playback.Error {
	refusal, ok := errors.AsType[*playback.Error](err)
	if !ok {
		refusal = playback.Errorf(playback.CodeInternalError, "").Because(err)
	}
	if Status(refusal.Kind) == fiber.StatusInternalServerError {
		fixed := *refusal
		fixed.Kind, fixed.Code, fixed.Message = playback.InternalError, playback.CodeInternalError, internalMessage
		return &fixed
	}
	return refusal
}

// writeError answers an error. It is the only writer of errors, beside
// appendError for the items of a batch.
func (s *Server) writeError(c *fiber.Ctx, x *middleware.Exchange, err error) {
	refusal := refusalOf(err)
	x.Outcome.Code = refusal.Code
	x.Outcome.Cause = causeOf(refusal)
	x.Outcome.Internal = refusal.Kind == playback.InternalError
	x.Outcome.Stack = middleware.StackOf(refusal.Err)
	s.metrics.refused(x, refusal.Code)
	h := &c.Response().Header
	status := Status(refusal.Kind)
	switch status {
	case fiber.StatusUnauthorized:
		h.SetCanonical([]byte("WWW-Authenticate"), []byte(challenge(x)))
	case fiber.StatusConflict:
		// Contract §10. Mux's SDKs would otherwise ask twice more, within a second.
		h.Set("X-Should-Retry", "false")
	case fiber.StatusTooManyRequests, fiber.StatusServiceUnavailable:
		h.Set(fiber.HeaderRetryAfter, strconv.FormatInt(middleware.Seconds(retryAfter(x, refusal)), 10))
	}
	c.Status(status)
	x.Buf = appendError(x.Buf[:0], localize(c, refusal), x.ID)
	sendJSON(c, x)
}

// maxManagementWait bounds Retry-After where backends manage (contract §10):
// Mux's SDKs hold their caller for as long as it says.
const maxManagementWait = 30 * time.Second

// retryAfter returns how long the client is asked to wait.
func retryAfter(x *middleware.Exchange, refusal *playback.Error) time.Duration {
	if x.Endpoint != nil && x.Endpoint.Backend {
		return min(refusal.RetryAfter, maxManagementWait)
	}
	return refusal.RetryAfter
}

// causeOf returns why a refusal was answered, for the log: what the client is not
// told or, where nothing is kept from it, what it is told.
func causeOf(refusal *playback.Error) error {
	if refusal.Err != nil {
		return refusal.Err
	}
	return errors.New(refusal.Message)
}

// challenge returns the scheme that could have answered a 401.
func challenge(x *middleware.Exchange) string {
	if x.Endpoint != nil && x.Endpoint.Backend {
		return `Basic realm="playgate"`
	}
	return "Bearer"
}

// appendError appends Mux's error envelope. deletable_at is written as Mux
// writes times, because only Mux's path deletes.
func appendError(b []byte, refusal *playback.Error, id string) []byte {
	b = append(b, `{"error":{"type":`...)
	b = appendString(b, string(refusal.Kind))
	b = append(b, `,"messages":[`...)
	b = appendString(b, refusal.Message)
	b = append(b, `],"code":`...)
	b = appendString(b, string(refusal.Code))
	b = append(b, `,"request_id":`...)
	b = appendString(b, id)
	if !refusal.DeletableAt.IsZero() {
		b = append(b, `,"deletable_at":"`...)
		b = append(strconv.AppendInt(b, refusal.DeletableAt.Unix(), 10), '"')
	}
	if !refusal.AvailableFrom.IsZero() {
		b = append(b, `,"available_from":`...)
		b = strconv.AppendInt(b, refusal.AvailableFrom.Unix(), 10)
	}
	return append(b, "}}"...)
}

// freeAnswer is how much of an answer every connection may hold, bytes: it is part
// of transport.ConnectionCost.
const freeAnswer = 16 << 10

// sendJSON sends x.Buf, which the response and the exchange trade for the
// buffer of an earlier answer: nothing is copied. The response keeps its buffer for
// as long as the connection is open, so it does not get a large one to keep.
func sendJSON(c *fiber.Ctx, x *middleware.Exchange) {
	c.Response().Header.SetContentType(fiber.MIMEApplicationJSON)
	if len(x.Buf) > freeAnswer {
		c.Response().SetBodyRaw(x.Buf)
		x.Buf = nil
		return
	}
	x.Buf = c.Response().SwapBody(x.Buf)
}

// transportError answers what fasthttp refuses before any handler runs: a
// request that is malformed, too large in its headers, or does not arrive.
func (s *Server) transportError(rc *fasthttp.RequestCtx, err error) {
	c := s.app.AcquireCtx(rc)
	defer s.app.ReleaseCtx(c)
	x := &middleware.Exchange{Started: s.cfg.Now()}
	x.Name("")
	c.Response().Header.Set(fiber.HeaderXRequestID, x.ID)
	c.Response().Header.SetCanonical([]byte(fiber.HeaderCacheControl), []byte(noStore))
	s.writeError(c, x, transportRefusal(err))
	c.Context().SetConnectionClose()
	timed(rc.Conn()).linger()
	s.metrics.observe(c, x, 0)
	s.log.Log(c, x, 0)
}

// transportRefusal returns what to answer for an error of fasthttp.
func transportRefusal(err error) *playback.Error {
	var timeout interface{ Timeout() bool }
	switch {
	case errors.As(err, new(*fasthttp.ErrSmallBuffer)):
		return playback.Errorf(playback.CodeHeadersTooLarge, "The request line and headers are larger than %d bytes.", readBuffer)
	case errors.As(err, &timeout) && timeout.Timeout(), strings.Contains(err.Error(), "timeout"): // not every listener's is typed
		return requestTimeout().Because(err)
	}
	return invalidRequest().Because(errors.New(withoutQuotes(err.Error())))
}

// withoutQuotes returns an error's text up to where it begins to quote what was
// sent: that may be a credential.
func withoutQuotes(text string) string {
	text, _, _ = strings.Cut(text, `"`)
	return strings.TrimRight(text, " :")
}
