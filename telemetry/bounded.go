package telemetry

import (
	"bytes"
	"io"
	"os"
	"sync/atomic"
	"time"
)

// Bounded is a writer for the last words of a process: a write that nobody reads
// must not hold up its exit.
type Bounded struct {
	writer io.Writer
	limit  time.Duration
	stuck  atomic.Bool // a write has not returned
}

// NewBounded returns a writer that gives up on a write of w after the limit, and
// then on all that follow until that one has returned.
func NewBounded(w io.Writer, limit time.Duration) *Bounded {
	return &Bounded{writer: w, limit: limit}
}

// Write writes a copy of the text. The error is os.ErrDeadlineExceeded if it gave
// up; some or all of the text may be written all the same.
func (b *Bounded) Write(text []byte) (int, error) {
	if b.stuck.Swap(true) {
		return 0, os.ErrDeadlineExceeded
	}
	type result struct {
		n   int
		err error
	}
	done := make(chan result, 1)
	own := bytes.Clone(text)
	go func() {
		n, err := b.writer.Write(own)
		b.stuck.Store(false)
		done <- result{n, err}
	}()
	timer := time.NewTimer(b.limit)
	defer timer.Stop()
	select {
	case r := <-done:
		return r.n, r.err
	case <-timer.C:
		return 0, os.ErrDeadlineExceeded
	}
}
