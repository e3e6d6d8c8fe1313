package server

import (
	"errors"
	"fmt"
	"io"
	"runtime"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/playgate/playgate/middleware"
	"github.com/playgate/playgate/playback"
)

// unprovenBody is how much of a body is read before its sender has proved who they
// are, bytes.
const unprovenBody = 16 << 10

// freeBody is how much of a body every connection may hold, bytes: it is part of
// transport.ConnectionCost. What goes beyond is reserved.
const freeBody = 4 << 10

// bodyStep is how much of a body is read before other goroutines run, bytes. Each
// goroutine that is ready waits for all the others: if hundreds read bodies of a
// megabyte, each until it has to wait for its client, then every step of every
// other request (a connection that is accepted, a lock that is handed over) takes
// as long as all of those reads together.
const bodyStep = 32 << 10

// unproven returns how many bytes of a body are read before the sender is admitted.
func (r *compiled) unproven() int {
	if r.access == signed {
		return 0
	}
	return min(unprovenBody, r.limit)
}

// body is the body of a request, as far as it was read into x.Body. fasthttp hands
// it over unread (StreamRequestBody), so that a path that does not exist is 404
// whatever its body, and memory is taken for one only as it arrives.
type body struct {
	c      *fiber.Ctx
	x      *middleware.Exchange
	r      *compiled
	stream io.Reader // nil: there is none, or the route ignores it
	length int       // as declared; negative: it comes in chunks
	ended  bool
}

func bodyOf(c *fiber.Ctx, x *middleware.Exchange, r *compiled) body {
	b := body{c: c, x: x, r: r, length: c.Request().Header.ContentLength()}
	if r.body != ignored {
		b.stream = c.Context().RequestBodyStream()
		x.Body = x.Body[:0]
	}
	return b
}

// checkLength refuses a body whose declared length is beyond the route's limit.
func checkLength(c *fiber.Ctx, r *compiled) error {
	if c.Request().Header.ContentLength() > r.limit { // negative: chunked, or none
		return tooLarge(c, r)
	}
	return nil
}

// errNoRoom says that there is no memory for the rest of a body.
var errNoRoom = errors.New("as many bytes are in flight as the memory limit has room for")

// read reads the body to its end if that is within limit. Of one that comes in
// chunks, it reads at most one byte beyond. What is left of a body that is too large
// is never read: the connection is closed.
func (b *body) read(limit int) error {
	if b.stream == nil || b.ended || b.length > limit || limit == 0 && b.length < 0 {
		return nil
	}
	b.x.Now = time.Time{} // it may have to be waited for
	conn := timed(b.c.Context().Conn())
	conn.receive()
	err := b.fill(conn, limit)
	conn.received()
	switch {
	case errors.Is(err, errNoRoom), err != nil && conn.evicted():
		b.close()
		return overloaded().Because(errNoRoom)
	case err != nil:
		b.c.Context().SetConnectionClose()
		return brokenBody(err)
	case len(b.x.Body) > b.r.limit:
		return tooLarge(b.c, b.r)
	case b.ended && b.length >= 0 && len(b.x.Body) != b.length:
		b.c.Context().SetConnectionClose()
		return brokenBody(io.ErrUnexpectedEOF)
	}
	return nil
}

// fill reads the stream to its end, or to one byte beyond the limit. The memory
// grows with what has arrived, not with what was announced, and as long as the
// connection may take more.
func (b *body) fill(conn *conn, limit int) error {
	for len(b.x.Body) <= limit {
		if err := b.makeRoom(conn); err != nil {
			return err
		}
		n := len(b.x.Body)
		read, err := b.stream.Read(b.x.Body[n:min(cap(b.x.Body), limit+1, n+bodyStep)])
		b.x.Body = b.x.Body[:n+read]
		if errors.Is(err, io.EOF) {
			b.ended = true
			return nil
		}
		if err != nil {
			return err
		}
		if len(b.x.Body) > freeBody {
			runtime.Gosched()
		}
	}
	return nil
}

// makeRoom grows the memory of a body that has filled it.
func (b *body) makeRoom(conn *conn) error {
	old := cap(b.x.Body)
	if len(b.x.Body) < old {
		return nil
	}
	if more := b.x.LargerBody() - max(old, freeBody); more > 0 && !conn.reserve(more) {
		return errNoRoom
	}
	b.x.GrowBody()
	return nil
}

// refuse returns the answer to a request whose sender was not admitted. What is
// left of its body is not kept. Of one that comes in chunks it is counted: one that
// is too large is answered so, whoever sent it (contract §8).
func (b *body) refuse(refusal error) error {
	if b.stream == nil || b.ended {
		return refusal
	}
	if b.length >= 0 {
		if b.length-len(b.x.Body) > unprovenBody { // fasthttp would read it, to go on with the connection
			b.close()
		}
		return refusal
	}
	conn := timed(b.c.Context().Conn())
	conn.receive()
	defer conn.received()
	var dropped [1 << 10]byte
	for n := len(b.x.Body); n <= b.r.limit; {
		more, err := b.stream.Read(dropped[:])
		if errors.Is(err, io.EOF) {
			return refusal
		}
		if err != nil {
			b.c.Context().SetConnectionClose()
			return refusal
		}
		n += more
	}
	return tooLarge(b.c, b.r)
}

// close makes the connection end with the answer, which reaches the client although
// it still sends.
func (b *body) close() {
	b.c.Context().SetConnectionClose()
	timed(b.c.Context().Conn()).linger()
}

func tooLarge(c *fiber.Ctx, r *compiled) error {
	c.Context().SetConnectionClose()
	timed(c.Context().Conn()).linger()
	cause := errors.New("it came in chunks, more than that")
	if length := c.Request().Header.ContentLength(); length >= 0 {
		cause = fmt.Errorf("its declared length is %d", length)
	}
	return playback.Errorf(playback.CodePayloadTooLarge, "The body is larger than %d bytes.", r.limit).Because(cause)
}

// brokenBody is the refusal of a body that did not arrive.
func brokenBody(err error) error {
	var timeout interface{ Timeout() bool }
	if errors.As(err, &timeout) && timeout.Timeout() {
		return requestTimeout().Because(err)
	}
	return invalidRequest().Because(err)
}
