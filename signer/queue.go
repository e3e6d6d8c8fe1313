package signer

import (
	"container/list"
	"context"
	"crypto/sha256"
	"sync"
	"time"

	"github.com/playgate/playgate/playback"
)

// job is one signature that somebody waits for.
type job struct {
	env    playback.EnvironmentID
	key    *admittedKey
	input  []byte // what is signed: header and payload
	digest [sha256.Size]byte
	ahead  bool
	share  *share // nil: the gateway's own
	queued time.Time

	place *list.Element // in queue.jobs or queue.ahead; nil: not waiting (guarded by queue.mu)

	signature []byte // written before done is closed, like err
	err       error
	done      chan struct{}
}

// share is what one caller holds of the queue: its jobs that wait or are being
// signed. Guarded by queue.mu; it exists while it holds or is waited for.
type share struct {
	caller  string
	held    int
	waiting list.List // of chan struct{}, closed when a place is handed over
}

// queue is the jobs that wait for a worker, first come, first served, in two
// lines: requests, and refresh-ahead, which is served when the other is empty.
type queue struct {
	limit, shareLimit, aheadLimit, workers int
	// least is the number of jobs that are signed together to advantage, by one
	// worker; 0 if there is none. It is set before the first take.
	least int

	mu      sync.Mutex
	arrived sync.Cond // with mu: a job arrived or the queue was closed
	jobs    list.List // of *job
	ahead   list.List // of *job
	shares  map[string]*share
	running int
	closed  bool
}

// maxAhead bounds the line of refresh-ahead for each worker: two batches, so
// that none finds the line empty. It is short, because what waits there is only
// signed if the machine becomes idle soon.
const maxAhead = 2 * maxBatch

// leastAhead is the bound where there are few workers.
const leastAhead = 64

func newQueue(limit, workers int) *queue {
	q := &queue{
		limit:      limit,
		workers:    workers,
		shareLimit: max(1, limit/8),
		aheadLimit: min(limit, max(leastAhead, maxAhead*workers)),
		shares:     make(map[string]*share),
	}
	q.arrived.L = &q.mu
	return q
}

// enter puts a job in its line, or says why it cannot be.
func (q *queue) enter(ctx context.Context, j *job, turn playback.Turn) outcome {
	q.mu.Lock()
	defer q.mu.Unlock()
	if o := q.roomFor(j); o != signed {
		return o
	}
	if turn.Caller != "" && !j.ahead {
		if o := q.takeShareLocked(ctx, j, turn); o != signed {
			return o
		}
		if o := q.roomFor(j); o != signed { // others came while this one waited for its share
			q.releaseLocked(j)
			return o
		}
	}
	if j.ahead {
		j.place = q.ahead.PushBack(j)
	} else {
		j.place = q.jobs.PushBack(j)
	}
	q.arrived.Signal()
	return signed
}

// roomFor returns why there is no room for a job, or signed if there is.
func (q *queue) roomFor(j *job) outcome {
	switch {
	case q.closed:
		return stopped
	case j.ahead && q.ahead.Len() >= q.aheadLimit, !j.ahead && q.jobs.Len() >= q.limit:
		return queueFull
	}
	return signed
}

// takeShareLocked takes a place of the caller's share, waiting for one if the
// turn is patient. It gives up mu while it waits.
func (q *queue) takeShareLocked(ctx context.Context, j *job, turn playback.Turn) outcome {
	s, ok := q.shares[turn.Caller]
	if !ok {
		s = &share{caller: turn.Caller}
		q.shares[turn.Caller] = s
	}
	if s.held < q.shareLimit {
		s.held++
		j.share = s
		return signed
	}
	if !turn.Patient {
		return shareHeld
	}
	granted := make(chan struct{})
	e := s.waiting.PushBack(granted)
	q.mu.Unlock()
	select {
	case <-granted:
		q.mu.Lock()
	case <-ctx.Done():
		q.mu.Lock()
		select {
		case <-granted: // too late: the place is ours to pass on
			j.share = s
			q.releaseLocked(j)
		default:
			s.waiting.Remove(e)
		}
		return abandoned
	}
	j.share = s // whoever released the place left it counted
	return signed
}

// releaseLocked gives a job's place of its share to whoever waits for one.
func (q *queue) releaseLocked(j *job) {
	s := j.share
	if s == nil {
		return
	}
	j.share = nil
	if e := s.waiting.Front(); e != nil {
		close(s.waiting.Remove(e).(chan struct{})) // waiting holds nothing else
		return
	}
	if s.held--; s.held == 0 {
		delete(q.shares, s.caller)
	}
}

// withdraw takes back a job that nobody waits for any more. It reports false
// if a worker has it already.
func (q *queue) withdraw(j *job) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if j.place == nil {
		return false
	}
	line := &q.jobs
	if j.ahead {
		line = &q.ahead
	}
	line.Remove(j.place)
	j.place = nil
	q.releaseLocked(j)
	return true
}

// linger is how long a worker waits for a batch to become full that is worth
// signing together already.
const linger = 150 * time.Microsecond

// take waits for jobs and returns the first ones, at most cap(batch), of one
// line. It returns none when the queue is closed and every request in it was
// served; refresh-ahead that still waits then is the caller's to refuse.
func (q *queue) take(batch []*job) []*job {
	q.mu.Lock()
	defer q.mu.Unlock()
	line := q.waitLocked()
	if q.least > 0 && line != nil && line.Len() >= q.least && line.Len() < cap(batch) {
		line = q.lingerLocked(line, cap(batch))
	}
	if line == nil {
		return nil
	}
	most := q.mostLocked(line, cap(batch))
	for line.Len() > 0 && len(batch) < most {
		j := line.Remove(line.Front()).(*job) // the lines hold nothing else
		j.place = nil
		batch = append(batch, j)
	}
	q.running += len(batch)
	if q.least > 0 && line.Len() > 0 {
		q.arrived.Signal() // it may have been this worker that the rest woke while it lingered
	}
	return batch
}

// waitLocked waits until a line has jobs and returns it; nil ends the worker.
func (q *queue) waitLocked() *list.List {
	for q.jobs.Len() == 0 && (q.closed || q.ahead.Len() == 0) {
		if q.closed {
			return nil
		}
		q.arrived.Wait()
	}
	if q.jobs.Len() > 0 {
		return &q.jobs
	}
	return &q.ahead
}

// lingerLocked waits until a line fills a batch, but not for long. Meanwhile others
// may have taken what was there, or a request come before what is signed ahead,
// so it returns the line to take from then.
func (q *queue) lingerLocked(line *list.List, full int) *list.List {
	over := false
	timer := time.AfterFunc(linger, func() {
		q.mu.Lock()
		defer q.mu.Unlock()
		over = true
		q.arrived.Broadcast()
	})
	defer timer.Stop()
	overtaken := func() bool { return line == &q.ahead && q.jobs.Len() > 0 }
	for !over && !q.closed && !overtaken() && line.Len() >= q.least && line.Len() < full {
		q.arrived.Wait()
	}
	return q.waitLocked()
}

// mostLocked returns how many jobs of a line one worker takes. What is signed one
// by one is shared with the other workers: a batch must not leave them idle.
func (q *queue) mostLocked(line *list.List, full int) int {
	if q.least > 0 && line.Len() >= q.least {
		return full
	}
	return min(full, max(1, (line.Len()+q.workers-1)/q.workers))
}

// leave gives back the places of jobs that a worker is done with.
func (q *queue) leave(batch []*job) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.running -= len(batch)
	for _, j := range batch {
		q.releaseLocked(j)
	}
}

// close refuses every later job and wakes the workers. The refresh-ahead that
// waited is returned, to be refused.
func (q *queue) close() []*job {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	q.arrived.Broadcast()
	var left []*job
	for e := q.ahead.Front(); e != nil; e = q.ahead.Front() {
		j := q.ahead.Remove(e).(*job) // the line holds nothing else
		j.place = nil
		left = append(left, j)
	}
	return left
}

// depth returns how many jobs wait.
func (q *queue) depth() float64 {
	q.mu.Lock()
	defer q.mu.Unlock()
	return float64(q.jobs.Len() + q.ahead.Len())
}

// backlog returns how many requests wait or are being signed.
func (q *queue) backlog() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.jobs.Len() + q.running
}
