package fairqueue

import (
	"context"
	"slices"
	"sync"
)

// Queue hands out places.
type Queue struct {
	mu   sync.Mutex // guards everything below
	free int        // more than 0 only while nobody waits
	// order holds the keys that have waiters, the next one first, each once.
	order   []string
	waiting map[string][]chan struct{} // never empty lists; closed: the place is the waiter's
}

// New returns a queue with so many places.
func New(places int) *Queue {
	return &Queue{free: places, waiting: map[string][]chan struct{}{}}
}

// Acquire waits for a place; whoever gets one must Release it. The error is the
// context's, and then there is no place.
func (q *Queue) Acquire(ctx context.Context, key string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	ready := q.enter(key)
	if ready == nil {
		return nil
	}
	select {
	case <-ready:
		return nil
	case <-ctx.Done():
		q.leave(key, ready)
		return ctx.Err()
	}
}

// Release gives a place back, to whoever is next.
func (q *Queue) Release() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.releaseLocked()
}

// enter takes a free place, or returns what will be closed when there is one.
func (q *Queue) enter(key string) chan struct{} {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.free > 0 {
		q.free--
		return nil
	}
	ready := make(chan struct{})
	if len(q.waiting[key]) == 0 {
		q.order = append(q.order, key)
	}
	q.waiting[key] = append(q.waiting[key], ready)
	return ready
}

// leave ends a wait. A place that was handed over meanwhile goes to the next.
func (q *Queue) leave(key string, ready chan struct{}) {
	q.mu.Lock()
	defer q.mu.Unlock()
	list := q.waiting[key]
	at := slices.Index(list, ready)
	switch {
	case at < 0:
		q.releaseLocked()
	case len(list) == 1:
		delete(q.waiting, key)
		q.order = slices.DeleteFunc(q.order, func(k string) bool { return k == key })
	default:
		q.waiting[key] = slices.Delete(list, at, at+1)
	}
}

func (q *Queue) releaseLocked() {
	if len(q.order) == 0 {
		q.free++
		return
	}
	key := q.order[0]
	q.order = slices.Delete(q.order, 0, 1)
	list := q.waiting[key]
	close(list[0])
	if len(list) == 1 {
		delete(q.waiting, key)
		return
	}
	q.waiting[key] = slices.Delete(list, 0, 1)
	q.order = append(q.order, key)
}
