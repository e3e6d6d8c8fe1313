package middleware_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"
	"unsafe"

	"github.com/google/go-cmp/cmp"
	"github.com/ulule/limiter/v3"

	"github.com/playgate/playgate/middleware"
)

type fakeClock struct {
	mu sync.Mutex
	at time.Time
}

func (c *fakeClock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *fakeClock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

func newClock() *fakeClock { return &fakeClock{at: time.Unix(1_000_000, 0)} }

func perMinute(n int64) limiter.Rate { return limiter.Rate{Period: time.Minute, Limit: n} }

func increment(t *testing.T, s limiter.Store, key string, n int64, rate limiter.Rate) limiter.Context {
	t.Helper()
	state, err := s.Increment(context.Background(), key, n, rate)
	if err != nil {
		t.Fatal(err)
	}
	return state
}

func TestCountersCountInFixedWindows(t *testing.T) {
	t.Parallel()
	clock := newClock()
	s := middleware.NewCounters(1000, clock.now)
	clock.advance(500 * time.Millisecond)
	want := func(got limiter.Context, remaining, reset int64, reached bool) {
		t.Helper()
		if d := cmp.Diff(limiter.Context{Limit: 3, Remaining: remaining, Reset: reset, Reached: reached}, got); d != "" {
			t.Errorf("state (-want +got):\n%s", d)
		}
	}
	rate := perMinute(3)
	// The window ends at 1000060.5: a whole second that lies in the next one.
	want(increment(t, s, "k", 1, rate), 2, 1_000_061, false)
	clock.advance(30 * time.Second)
	want(increment(t, s, "k", 2, rate), 0, 1_000_061, false)
	want(increment(t, s, "k", 1, rate), 0, 1_000_061, true)
	peek, _ := s.Peek(context.Background(), "k", rate)
	want(peek, 0, 1_000_061, true)
	get, _ := s.Get(context.Background(), "other", rate)
	want(get, 2, 1_000_091, false)
	clock.advance(30*time.Second - time.Nanosecond)
	want(increment(t, s, "k", 1, rate), 0, 1_000_061, true)
	clock.advance(time.Nanosecond)
	want(increment(t, s, "k", 1, rate), 2, 1_000_121, false)
	_, _ = s.Reset(context.Background(), "k", rate)
	want(increment(t, s, "k", 3, rate), 0, 1_000_121, false)
}

// TestAFloodOfKeysResetsNobody: neither one hit each, which leaves newcomers
// room, nor two, which leave them what keys without room share.
func TestAFloodOfKeysResetsNobody(t *testing.T) {
	t.Parallel()
	for _, hits := range []int64{1, 2} {
		clock := newClock()
		const maxKeys = 1600
		s := middleware.NewCounters(maxKeys, clock.now)
		rate := perMinute(5)
		for range 6 {
			increment(t, s, "victim", 1, rate)
		}
		refused := 0
		for i := range 20 * maxKeys {
			if increment(t, s, fmt.Sprint("flood", i), hits, rate).Reached {
				refused++
			}
			if i%1000 == 0 {
				clock.advance(time.Second)
			}
		}
		if n := s.Len(); n > maxKeys {
			t.Errorf("%d keys are held, want at most %d", n, maxKeys)
		}
		if hits == 1 && refused > 0 {
			t.Errorf("%d keys were refused their first hit", refused)
		}
		if hits == 2 && refused == 0 {
			t.Error("keys without room are not limited")
		}
		if !increment(t, s, "victim", 1, rate).Reached {
			t.Errorf("a flood of keys with %d hits reset a counter", hits)
		}
		clock.advance(time.Minute)
		// The flood's windows have ended: newcomers find room again.
		if got := increment(t, s, "newcomer", 1, rate); got.Remaining != 4 {
			t.Errorf("a newcomer after the flood has %d left, want 4", got.Remaining)
		}
	}
}

// TestWindowsWithOneHitMakeRoom, the oldest first, and only they.
func TestWindowsWithOneHitMakeRoom(t *testing.T) {
	t.Parallel()
	clock := newClock()
	s := middleware.NewCounters(16*64, clock.now)
	rate := perMinute(100)
	const keys = 512 // half of the room, so that no shard is full
	for i := range keys {
		increment(t, s, fmt.Sprint("twice", i), 1, rate)
		increment(t, s, fmt.Sprint("twice", i), 1, rate)
	}
	for i := range 10_000 {
		increment(t, s, fmt.Sprint("once", i), 1, rate)
	}
	for i := range keys {
		if state, _ := s.Peek(context.Background(), fmt.Sprint("twice", i), rate); state.Remaining != 98 {
			t.Fatalf("key %d has %d left, want 98", i, state.Remaining)
		}
	}
	if state, _ := s.Peek(context.Background(), "once9999", rate); state.Remaining != 99 {
		t.Errorf("the newest of the others has %d left, want 99", state.Remaining)
	}
	if state, _ := s.Peek(context.Background(), "once0", rate); state.Remaining != 100 {
		t.Errorf("the oldest of the others has %d left, want that it was given up", state.Remaining)
	}
}

// TestWindowsOfAClockThatIsSetBackEnd: a counter must not stay reached for as
// long as the clock was ahead.
func TestWindowsOfAClockThatIsSetBackEnd(t *testing.T) {
	t.Parallel()
	for _, back := range []time.Duration{time.Hour, 10 * 365 * 24 * time.Hour} {
		clock := newClock()
		s := middleware.NewCounters(1000, clock.now)
		increment(t, s, "k", 6, perMinute(5))
		increment(t, s, "day", 6, limiter.Rate{Period: 24 * time.Hour, Limit: 5})
		increment(t, s, "second", 6, limiter.Rate{Period: time.Second, Limit: 5})
		clock.advance(-10 * time.Second) // as a request that waited for its body
		if !increment(t, s, "k", 1, perMinute(5)).Reached || !increment(t, s, "second", 1, limiter.Rate{Period: time.Second, Limit: 5}).Reached {
			t.Error("a request that came a little earlier opened a window")
		}
		clock.advance(-back)
		if increment(t, s, "k", 1, perMinute(5)).Reached || increment(t, s, "day", 1, limiter.Rate{Period: 24 * time.Hour, Limit: 5}).Reached {
			t.Errorf("set back by %s, a counter is still reached", back)
		}
	}
}

// TestAKeyMayBeAViewOfAReusedBuffer counts with keys whose memory is
// overwritten after each call, as fiber's and an Exchange's are.
func TestAKeyMayBeAViewOfAReusedBuffer(t *testing.T) {
	t.Parallel()
	s := middleware.NewCounters(1000, newClock().now)
	rate := perMinute(100)
	buffer := make([]byte, 8)
	view := unsafe.String(&buffer[0], len(buffer))
	for range 10 {
		for i := range 26 {
			for j := range buffer {
				buffer[j] = byte('a' + i)
			}
			increment(t, s, view, 1, rate)
		}
	}
	if n := s.Len(); n != 26 {
		t.Errorf("%d keys are held, want 26", n)
	}
	for i := range 26 {
		key := strings.Repeat(string(rune('a'+i)), len(buffer))
		if state, _ := s.Peek(context.Background(), key, rate); state.Remaining != 90 {
			t.Errorf("%s has %d left, want 90", key, state.Remaining)
		}
	}
}

func TestCountersAreSafeForConcurrentUse(t *testing.T) {
	t.Parallel()
	s := middleware.NewCounters(1000, time.Now)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			key := []byte("k")
			for i := range 1000 {
				key = append(key[:0], byte('a'+i%26))
				if _, err := s.Increment(context.Background(), string(key), 1, perMinute(1<<40)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	total := int64(0)
	for i := range 26 {
		state, _ := s.Peek(context.Background(), string(rune('a'+i)), perMinute(1<<40))
		total += 1<<40 - state.Remaining
	}
	if total != 8000 {
		t.Errorf("counted %d, want 8000", total)
	}
}
