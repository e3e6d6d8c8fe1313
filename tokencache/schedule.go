package tokencache

import (
	"container/heap"
	"sync"
	"time"

	"github.com/playgate/playgate/playback"
)

// plan is one refresh-ahead to come: of the token that will be asked for after
// the one that is remembered now.
type plan struct {
	key    Key // of the token in use
	claims playback.Claims
	life   playback.Lifetime
	due    time.Time
	index  int // in schedule.heap; -1: not in it (guarded by schedule.mu)
}

// schedule is the plans by when they are due. Every plan belongs to an entry
// of the cache and is removed with it, so there are never more of them.
type schedule struct {
	mu      sync.Mutex
	heap    planHeap
	earlier chan struct{} // holds one signal: the first plan is another one now
}

func newSchedule() *schedule { return &schedule{earlier: make(chan struct{}, 1)} }

func (s *schedule) add(p *plan) {
	s.mu.Lock()
	defer s.mu.Unlock()
	heap.Push(&s.heap, p)
	if p.index != 0 {
		return
	}
	select {
	case s.earlier <- struct{}{}:
	default: // it is signalled already
	}
}

func (s *schedule) remove(p *plan) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if p.index >= 0 {
		heap.Remove(&s.heap, p.index)
	}
}

// next takes out the first plan if it is due, else returns how long to wait.
func (s *schedule) next(now time.Time) (*plan, time.Duration) {
	// The clock may be set, and timers do not follow it: look again now and then.
	const most = time.Minute
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.heap) == 0 {
		return nil, most
	}
	first := s.heap[0]
	if wait := first.due.Sub(now); wait > 0 {
		return nil, min(wait, most)
	}
	heap.Pop(&s.heap)
	return first, 0
}

// planHeap implements heap.Interface.
type planHeap []*plan

func (h planHeap) Len() int           { return len(h) }
func (h planHeap) Less(i, j int) bool { return h[i].due.Before(h[j].due) }

func (h planHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}

func (h *planHeap) Push(x any) {
	p := x.(*plan) // only plans are pushed
	p.index = len(*h)
	*h = append(*h, p)
}

func (h *planHeap) Pop() any {
	old := *h
	p := old[len(old)-1]
	old[len(old)-1] = nil
	p.index = -1
	*h = old[:len(old)-1]
	return p
}
