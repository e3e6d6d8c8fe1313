package transport_test

import (
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/playgate/playgate/server/transport"
)

// flight is a listener whose connections share a few bytes.
type flight struct {
	t     *testing.T
	inner *scripted
	l     *transport.Listener
}

// inFlight returns a listener with room for so many connections, of which reserved
// bytes may take half.
func inFlight(t *testing.T, connections int) *flight {
	t.Helper()
	inner := newScripted()
	limits := transport.Limits{Bytes: int64(connections) * transport.ConnectionCost}
	return &flight{t, inner, transport.New(transport.Config{Limits: limits}).Listen(inner)}
}

// accept returns a connection that has just come, a second of the fake clock after
// the last.
func (f *flight) accept() (*peer, *transport.Conn) {
	f.t.Helper()
	time.Sleep(time.Second)
	p := from("192.0.2.1")
	f.inner.results <- p
	c, err := f.l.Accept()
	if err != nil {
		f.t.Fatal(err)
	}
	return p, c.(*transport.Conn)
}

// refused reports whether a connection that comes now is refused.
func (f *flight) refused() bool {
	p := from("192.0.2.9")
	f.inner.results <- p
	end := time.AfterFunc(time.Second, func() { f.inner.results <- net.ErrClosed })
	defer end.Stop()
	_, err := f.l.Accept()
	return err != nil && p.wasClosed()
}

func TestBytesBoundConnections(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := inFlight(t, 2)
		first, firstConn := f.accept()
		firstConn.Busy()
		second, secondConn := f.accept()
		secondConn.Busy()
		if !f.refused() {
			t.Fatal("a third connection was accepted though there is no memory for it and the others are busy")
		}
		firstConn.Idle(time.Now())
		f.accept()
		if !first.wasClosed() || second.wasClosed() {
			t.Errorf("closed: the idle one %v, the busy one %v, want only the idle one", first.wasClosed(), second.wasClosed())
		}
	})
}

func TestReservedBytesAreBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const most = 1 * transport.ConnectionCost / 5 // of two; four times as much stays free
		f := inFlight(t, 2)
		_, c := f.accept()
		c.Busy()
		if !c.Reserve(most-1) || !c.Reserve(1) {
			t.Fatal("a fifth of the bytes for requests cannot be reserved")
		}
		if c.Reserve(1) {
			t.Fatal("a request reserved more than a fifth of the bytes for requests")
		}
		c.Settle(0)
		if !c.Reserve(most) {
			t.Error("what was settled cannot be reserved again")
		}
		_ = c.Close()
		if c.Reserve(1) {
			t.Error("a closed connection reserves")
		}
		_, c = f.accept()
		c.Busy()
		if !c.Reserve(most) {
			t.Error("what a closed connection had cannot be reserved")
		}
		c.Settle(1 << 40) // an answer that is there already
		if c.Settle(0); !c.Reserve(most) {
			t.Error("what was settled beyond the limit is not given back")
		}
	})
}

// TestASmallBodyHasRoomBesideManyLargeOnes: whatever the size of the bodies that
// fill the memory, a few that are no larger find room.
func TestASmallBodyHasRoomBesideManyLargeOnes(t *testing.T) {
	t.Parallel()
	for _, size := range []int{128 << 10, 256 << 10, 1 << 20} {
		synctest.Test(t, func(t *testing.T) {
			f := inFlight(t, 400)
			admitted := 0
			for {
				_, c := f.accept()
				c.Busy()
				c.Receive()
				if !c.Reserve(size) {
					break
				}
				c.Busy() // it has arrived, and is never given up
				admitted++
			}
			if admitted < 4 {
				t.Errorf("there was room for %d bodies of %d bytes, want a few", admitted, size)
			}
			for n := range 4 {
				_, c := f.accept()
				c.Busy()
				c.Receive()
				if !c.Reserve(size / 4) {
					t.Errorf("beside %d bodies of %d bytes there is no room for one of %d after %d such", admitted, size, size/4, n)
				}
			}
		})
	}
}

func TestABodyTakesTheMemoryOfTheLongestIdle(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := inFlight(t, 4)
		idle, _ := f.accept()
		younger, _ := f.accept()
		busy, busyConn := f.accept()
		busyConn.Busy()
		_, c := f.accept()
		c.Busy()
		c.Receive()
		if !c.Reserve(1) {
			t.Fatal("no byte could be reserved")
		}
		if !idle.wasClosed() || younger.wasClosed() || busy.wasClosed() {
			t.Errorf("closed: the longest idle %v, the other %v, the busy one %v, want only the first", idle.wasClosed(), younger.wasClosed(), busy.wasClosed())
		}
	})
}

func TestABodyThatStallsGivesItsMemoryAway(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := inFlight(t, 8)
		const half = 4 * transport.ConnectionCost
		const two, third = half / 6, half / 7 // with two of the first there is no room for the other, with one there is
		stalled, stalledConn := f.accept()
		answering, answeringConn := f.accept()
		_, c := f.accept()
		for _, conn := range []*transport.Conn{stalledConn, answeringConn, c} {
			conn.Busy()
			conn.Receive()
		}
		if !stalledConn.Reserve(two) || !answeringConn.Reserve(two) {
			t.Fatal("a third of the bytes for requests cannot be reserved by two")
		}
		answeringConn.Busy() // the body has arrived
		if c.Reserve(third) {
			t.Fatal("a body took the memory of one that was waited for a moment ago")
		}
		time.Sleep(time.Second)
		c.Busy()
		c.Receive()
		if !c.Reserve(third) || !stalledConn.Evicted() || !stalled.wasClosed() {
			t.Errorf("a body that has stalled for a second keeps its memory")
		}
		if stalledConn.Reserve(1) {
			t.Error("a connection that was closed to make room reserves")
		}
		if answering.wasClosed() {
			t.Error("a connection whose request is being answered was closed")
		}
		stalledConn.Busy()
		stalledConn.Idle(time.Now())
		if !stalledConn.Evicted() {
			t.Error("a connection that was closed to make room is in use again")
		}
	})
}

func TestANewConnectionTakesThePlaceOfAnUnfinishedBody(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := inFlight(t, 2)
		older, olderConn := f.accept()
		olderConn.Busy()
		olderConn.Receive()
		younger, youngerConn := f.accept()
		youngerConn.Busy()
		youngerConn.Receive()
		f.accept()
		if !older.wasClosed() || younger.wasClosed() {
			t.Errorf("closed: the older %v, the younger %v, want only the older", older.wasClosed(), younger.wasClosed())
		}
	})
}

// TestNoConnectionIsNoLimit: a server may serve connections that nobody bounds.
func TestNoConnectionIsNoLimit(t *testing.T) {
	t.Parallel()
	var c *transport.Conn
	c.Busy()
	c.Receive()
	c.Idle(time.Now())
	c.Settle(1)
	if !c.Reserve(1<<40) || c.Evicted() {
		t.Error("no connection has limits")
	}
}

// TestAPeerWithoutLimitDisplacesItself: the admin listener has one limit, and all
// of its clients may have one address.
func TestAPeerWithoutLimitDisplacesItself(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		inner := newScripted()
		f := &flight{t, inner, transport.New(transport.Config{Limits: transport.Limits{Total: 2}}).Listen(inner)}
		first, _ := f.accept()
		second, _ := f.accept()
		f.accept()
		if !first.wasClosed() || second.wasClosed() {
			t.Errorf("closed: the older %v, the younger %v, want only the older", first.wasClosed(), second.wasClosed())
		}
	})
}
