package signer

import (
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"sync/atomic"
	"time"
)

// maxBatch bounds how many signatures a backend is given at once: a multi-
// buffer implementation has eight lanes.
const maxBatch = 8

// worker takes what waits and signs it.
type worker struct {
	pool  *Pool
	taken []*job // these three are reused from batch to batch
	live  []*job
	work  []Work // of live, in the same order
}

// threaded is a backend that signs on threads of its own: its callers wait.
type threaded interface{ Threads() int }

// callers returns how many workers keep so many signatures under way: where the
// backend has threads of its own, two batches for each, so that none waits for
// the next.
func callers(b Backend, concurrency int) int {
	if t, ok := b.(threaded); ok && concurrency >= t.Threads() {
		return 2 * t.Threads()
	}
	return concurrency
}

// work runs one worker until the queue is closed and empty.
func (p *Pool) work() {
	if _, elsewhere := p.ring.backend.(threaded); !elsewhere {
		runtime.LockOSThread() // for good: the thread ends with the goroutine, and so does its priority
		lowerPriority()
	}
	size := min(max(1, p.ring.backend.Batch()), maxBatch)
	w := &worker{pool: p, taken: make([]*job, 0, size), live: make([]*job, 0, size), work: make([]Work, 0, size)}
	for w.next() {
		w.sign()
	}
}

// next waits for the next batch; false ends the worker.
func (w *worker) next() bool {
	clear(w.taken) // an idle worker keeps no key alive
	clear(w.live)
	clear(w.work)
	w.live, w.work = w.live[:0], w.work[:0]
	w.taken = w.pool.queue.take(w.taken[:0])
	return len(w.taken) > 0
}

// sign serves the batch. A key that may not sign at this moment does not sign,
// however long its job has waited.
func (w *worker) sign() {
	p := w.pool
	for _, j := range w.taken {
		if p.ring.signing(j.env, j.key.keyName, j.ahead) != j.key {
			continue
		}
		w.live = append(w.live, j)
		w.work = append(w.work, Work{Key: j.key.handle, Digest: j.digest})
	}
	begun := p.now()
	err := w.compute()
	each := p.now().Sub(begun) / time.Duration(max(1, len(w.work)))
	p.queue.leave(w.taken)
	n := 0
	for _, j := range w.taken {
		if n == len(w.live) || w.live[n] != j {
			p.finish(j, noActiveKey, nil)
			continue
		}
		work := &w.work[n]
		n++
		if work.Healed {
			p.metrics.faults.Inc()
			p.ring.log.Error("a computed signature did not verify; it was dropped and computed again: the machine or the program is at fault",
				slog.String("backend", p.ring.backend.Name()), slog.String("key", string(j.key.id)))
			p.ring.alarm()
		}
		if err != nil || work.Err != nil {
			p.finish(j, failed, fmt.Errorf("signing with key %s: %w", j.key.id, errors.Join(err, work.Err)))
			continue
		}
		j.signature = work.Signature
		p.metrics.observe(j.queued, begun, each)
		learn(&p.pace, each)
		learn(&p.cost, work.Cost)
		p.finish(j, signed, nil)
	}
}

// compute calls the backend; a panic there fails this batch and no other.
func (w *worker) compute() (err error) {
	if len(w.work) == 0 {
		return nil
	}
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("the backend panicked: %v", r)
		}
	}()
	w.pool.ring.backend.Sign(w.work)
	return nil
}

// learn smooths an estimate over the last signatures. Two workers may overwrite
// each other's; an estimate bears that.
func learn(estimate *atomic.Int64, last time.Duration) {
	old := estimate.Load()
	estimate.Store(old + (int64(last)-old)/16)
}
