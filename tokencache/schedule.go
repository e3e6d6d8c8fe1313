package tokencache

import (
	"container/heap"
	"sync"
	"time"
)

// schedule is the entries that are to be refreshed, by when they are due.
// Every one of them is in the cache and leaves with it, so there are never more.
//
// No second is booked beyond what may be signed in it. What would exceed that
// is booked earlier, so that a wave of tokens that all roll over at once is
// signed by then, if that can be done at all. The hottest come into use first,
// so they find their place first.
type schedule struct {
	mu     sync.Mutex
	heap   planHeap
	booked map[int64]int // by Unix second; none is 0
}

// plan is one refresh-ahead to come: of the token that will be asked for after
// the one that the entry holds.
type plan struct {
	due   time.Duration // since the epoch
	entry *entry
}

func newSchedule() *schedule { return &schedule{booked: make(map[int64]int)} }

// add books an entry for the moment when it is due, or the latest before that
// has room, but no second before earliest; most is how many a second has room
// for. first: it is the first of all now. It reports false if there is no room.
func (s *schedule) add(e *entry, due, earliest time.Time, most int) (first, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	second := due.Unix()
	for s.booked[second] >= most {
		if second--; second < earliest.Unix() {
			return false, false
		}
	}
	s.booked[second]++
	at := time.Duration(second)*time.Second + time.Duration(due.Nanosecond())
	heap.Push(&s.heap, plan{at, e})
	return e.index == 0, true
}

// remove takes an entry out, if it is there.
func (s *schedule) remove(e *entry) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e.index != notPlanned {
		s.takeLocked(int(e.index))
	}
}

// next takes out the first entry if it is due, else returns how long to wait.
func (s *schedule) next(now time.Time) (*entry, time.Duration) {
	// The clock may be set, and timers do not follow it: look again now and then.
	const most = time.Minute
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.heap) == 0 {
		return nil, most
	}
	if wait := s.heap[0].due - time.Duration(now.UnixNano()); wait > 0 {
		return nil, min(wait, most)
	}
	return s.takeLocked(0), 0
}

func (s *schedule) takeLocked(index int) *entry {
	p := s.heap[index]
	heap.Remove(&s.heap, index)
	second := int64(p.due / time.Second)
	if s.booked[second]--; s.booked[second] == 0 {
		delete(s.booked, second)
	}
	return p.entry
}

// planHeap implements heap.Interface.
type planHeap []plan

func (h planHeap) Len() int           { return len(h) }
func (h planHeap) Less(i, j int) bool { return h[i].due < h[j].due }

func (h planHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].entry.index, h[j].entry.index = int32(i), int32(j) //nolint:gosec // there are not 2^31 entries
}

func (h *planHeap) Push(x any) {
	p := x.(plan)                  // only plans are pushed
	p.entry.index = int32(len(*h)) //nolint:gosec // there are not 2^31 entries
	*h = append(*h, p)
}

// Pop returns nothing, which would cost an allocation: takeLocked has what goes.
func (h *planHeap) Pop() any {
	old := *h
	old[len(old)-1].entry.index = notPlanned
	old[len(old)-1] = plan{}
	*h = old[:len(old)-1]
	return nil
}
