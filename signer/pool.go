package signer

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/playgate/playgate/playback"
)

// Config is what a Pool needs.
type Config struct {
	Ring        *Ring                 // required; its backend signs
	Concurrency int                   // signatures at once; 0: the number of CPUs
	Queue       int                   // signatures that may wait; 0: DefaultQueue
	Now         func() time.Time      // nil: time.Now
	Registerer  prometheus.Registerer // nil: do not register
}

// DefaultQueue is how many signatures may wait.
const DefaultQueue = 1024

// Pool signs, a bounded number at once, for a bounded number of callers that
// wait. Beyond that it refuses at once and says when to come back.
type Pool struct {
	ring    *Ring
	now     func() time.Time
	workers int
	queue   *queue
	remote  *remote // for keys that sign elsewhere
	metrics *metrics
	pace    atomic.Int64 // nanoseconds that one signature takes one worker, smoothed
	cost    atomic.Int64 // nanoseconds of a core's time that it takes, smoothed: less on a busy machine
	running sync.WaitGroup
}

// firstPace is assumed until something was signed: an RSA-2048 signature of
// crypto/rsa, in nanoseconds.
const firstPace = int64(time.Millisecond)

// NewPool starts the workers; Stop ends them.
func NewPool(cfg Config) *Pool {
	if cfg.Concurrency <= 0 {
		cfg.Concurrency = runtime.GOMAXPROCS(0) // which knows a container's CPU limit
	}
	if cfg.Queue <= 0 {
		cfg.Queue = DefaultQueue
	}
	workers := callers(cfg.Ring.backend, cfg.Concurrency)
	p := &Pool{ring: cfg.Ring, now: clock(cfg.Now), workers: workers, queue: newQueue(cfg.Queue, workers)}
	p.remote = newRemote(p, cfg.Queue)
	p.metrics = newMetrics(cfg.Registerer, func() float64 { return p.queue.depth() + p.remote.queue.depth() })
	p.pace.Store(firstPace)
	p.cost.Store(firstPace)
	for range workers {
		p.running.Go(p.work)
	}
	return p
}

// Stop refuses new work, lets what waits be signed, drops refresh-ahead, and
// returns when the workers have ended. It may be called more than once.
func (p *Pool) Stop() {
	for _, j := range append(p.queue.close(), p.remote.queue.close()...) {
		p.finish(j, stopped, nil)
	}
	p.running.Wait()
}

// Sign returns the token of the claims. The errors are *playback.Error:
//
//   - no_active_key: the claims' key is not the one that their environment
//     signs with (or, ahead, will sign with), or ceased to be while they
//     waited; choose a key again;
//   - signing_overloaded, with RetryAfter: the queue is full, the caller holds
//     its share of it (errors.As finds an error whose CallersOwn is true), ctx
//     ended first (its error is wrapped), or the pool stops;
//   - dependency_unavailable, with RetryAfter: the key signs elsewhere, and
//     could not be asked;
//   - internal_error: the claims cannot be encoded, or the backend failed.
//
// The claims are not kept.
func (p *Pool) Sign(ctx context.Context, c *playback.Claims, turn playback.Turn) (playback.Token, error) {
	j, err := p.prepare(ctx, c, turn)
	if err != nil {
		return playback.Token{}, err
	}
	j.done = make(chan struct{})
	q := p.queue
	if j.key.remote != nil {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, remotePatience, errNoAnswer)
		defer cancel()
		q = p.remote.queue
	}
	if o := q.enter(ctx, j, turn); o != signed {
		p.metrics.count(o, turn.Ahead)
		return playback.Token{}, p.refusal(o, context.Cause(ctx))
	}
	select {
	case <-j.done:
	case <-ctx.Done():
		if q.withdraw(j) { // else a worker has it: its signature is dropped
			p.metrics.count(abandoned, turn.Ahead)
		}
		return playback.Token{}, p.refusal(abandoned, context.Cause(ctx))
	}
	if j.err != nil {
		return playback.Token{}, j.err
	}
	return j.token(), nil
}

// Start is Sign for who does not want to wait in it. Not started is (false) what
// may have to wait before it is in the queue, for a patient caller that holds
// its share of it, and what is signed elsewhere.
func (p *Pool) Start(c *playback.Claims, turn playback.Turn) (playback.Signing, bool) {
	ctx := context.Background()
	s := &signing{pool: p}
	var err error
	if s.job, err = p.prepare(ctx, c, turn); err != nil {
		return refusedSigning(err), true
	}
	if s.key.remote != nil {
		return nil, false // its time is bounded by Sign
	}
	s.done = make(chan struct{})
	waits := turn.Patient
	turn.Patient = false
	switch o := p.queue.enter(ctx, s.job, turn); {
	case o == shareHeld && waits:
		return nil, false
	case o != signed:
		p.metrics.count(o, turn.Ahead)
		return refusedSigning(p.refusal(o, nil)), true
	}
	return s, true
}

// signing is a job as who started it sees it.
type signing struct {
	*job

	pool *Pool
}

// refusedSigning is one that ended as it began.
func refusedSigning(err error) *signing {
	done := make(chan struct{})
	close(done)
	return &signing{job: &job{err: err, done: done}}
}

// Done returns what is closed when the job is done.
func (s *signing) Done() <-chan struct{} { return s.done }

// Result returns the token, or why there is none.
func (s *signing) Result() (playback.Token, error) {
	if s.err != nil {
		return playback.Token{}, s.err
	}
	return s.token(), nil
}

// Withdraw gives the place in the queue back, unless a worker has the job.
func (s *signing) Withdraw() {
	if s.pool != nil && s.pool.queue.withdraw(s.job) {
		s.pool.finish(s.job, abandoned, context.Canceled)
	}
}

// token is the compact form of what was signed.
func (j *job) token() playback.Token {
	j.input = append(j.input, '.')
	return playback.NewToken(string(base64.RawURLEncoding.AppendEncode(j.input, j.signature)))
}

// prepare does what needs no worker: it encodes the claims and hashes them, on
// the goroutine and at the priority of who asks.
func (p *Pool) prepare(ctx context.Context, c *playback.Claims, turn playback.Turn) (*job, error) {
	if ctx.Err() != nil {
		p.metrics.count(abandoned, turn.Ahead)
		return nil, p.refusal(abandoned, context.Cause(ctx))
	}
	key := p.ring.signing(c.Environment, keyName{c.Key, c.Thumbprint}, turn.Ahead)
	if key == nil {
		p.metrics.count(noActiveKey, turn.Ahead)
		return nil, p.refusal(noActiveKey, nil)
	}
	const typical = 512 // bytes of header and payload in base64
	input, err := appendInput(make([]byte, 0, typical+2*key.size), key.headerFor(c.Kid), c)
	if err != nil {
		p.metrics.count(failed, turn.Ahead)
		return nil, p.refusal(failed, err)
	}
	return &job{
		env:    c.Environment,
		key:    key,
		input:  input,
		digest: sha256.Sum256(input),
		ahead:  turn.Ahead,
		queued: p.now(),
	}, nil
}

// finish ends a job that entered the queue and was not withdrawn; cause is why
// it failed, if it did.
func (p *Pool) finish(j *job, o outcome, cause error) {
	p.metrics.count(o, j.ahead)
	if o != signed {
		j.err = p.refusal(o, cause)
	}
	close(j.done)
}

// RetryAfter estimates when what waits now will have been signed, from the
// measured pace: whole seconds, at least one.
func (p *Pool) RetryAfter() time.Duration {
	drain := time.Duration(int64(p.queue.backlog()) * p.pace.Load() / int64(p.workers))
	drain += p.remote.drain()
	return max(time.Second, (drain + time.Second - 1).Truncate(time.Second))
}

// Cost returns how much of one core's time a signature takes, as measured.
func (p *Pool) Cost() time.Duration { return time.Duration(p.cost.Load()) }

// Pace returns how long one signature lately took a signing thread, with what it
// waited for a core.
func (p *Pool) Pace() time.Duration { return time.Duration(p.pace.Load()) }

// refusal is the error of an outcome other than signed.
func (p *Pool) refusal(o outcome, cause error) error {
	switch o {
	case noActiveKey:
		return playback.Errorf(playback.CodeNoActiveKey, "There is no active signing key.").After(time.Second)
	case queueFull:
		return p.overloaded(errQueueFull)
	case shareHeld:
		return p.overloaded(shareError{})
	case abandoned:
		return p.overloaded(fmt.Errorf("waiting for a signature: %w", cause))
	case stopped:
		return p.overloaded(errStopped)
	case unavailable:
		return unreachable(cause)
	case signed, failed, outcomes:
	}
	return playback.Errorf(playback.CodeInternalError, "The token could not be signed.").Because(cause)
}

func (p *Pool) overloaded(cause error) error {
	e := playback.Errorf(playback.CodeSigningOverloaded, "Too many tokens are being signed; try again later.")
	return e.After(p.RetryAfter()).Because(cause)
}

var (
	errQueueFull = errors.New("the signing queue is full")
	errStopped   = errors.New("the gateway stops")
)

// shareError refuses a caller that holds its share of the queue.
type shareError struct{}

func (shareError) Error() string { return "the caller holds its share of the signing queue" }

// CallersOwn says that the refusal concerns this caller alone: the same
// signature asked for by another one may succeed.
func (shareError) CallersOwn() bool { return true }
