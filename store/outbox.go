package store

import (
	"context"
	"errors"
	"time"

	"github.com/playgate/playgate/playback"
)

// ErrOutboxFull says that an environment has as many jobs as it may have.
var ErrOutboxFull = errors.New("too many jobs of the environment wait in the outbox")

// Job is work that was acknowledged and is not done yet.
type Job struct {
	Environment playback.EnvironmentID
	// Kind says what is to be done, and Key to what: there is one job of an
	// environment, kind and key.
	Kind string
	Key  string
	// Version orders what is added under one key: the job keeps the largest, and
	// the payload that came with it.
	Version int64
	Payload []byte

	// Attempts is how often the job was claimed since it was last added, this
	// time included. Revision is how often it was added. The store sets both.
	Attempts int
	Revision int64
}

// JobBatch is jobs that are added together.
type JobBatch struct {
	Jobs []Job
	// Max is how many jobs an environment may have, these included. Batches that
	// are added at the same moment may exceed it by their own size.
	Max int
	Now time.Time // see JobClaim.Now
}

// JobClaim is the wish for one job that is due.
type JobClaim struct {
	Environment playback.EnvironmentID
	Kinds       []string // those that the caller can do; at least one
	Owner       string   // who claims: one name for each process
	// Lease is how long nobody else can claim the job.
	Lease time.Duration
	// Now counts where the store has no clock of its own, which all replicas agree
	// on. It is of a clock that nobody sets, or a job that is due in a second would
	// wait an hour once the time was set back.
	Now time.Time
}

// Outbox keeps jobs until they are done. A job that is claimed by a process that
// ends before it has finished the job is due again when the lease is over.
type Outbox interface {
	// AddJobs adds jobs that are due at once, all or none. One whose key is there
	// already is the same job, due again. ErrOutboxFull: they are too many, and
	// nothing has changed.
	AddJobs(ctx context.Context, batch JobBatch) error
	// DueJobs returns the environments that have jobs which are due, in any order.
	// One that is due later than in MaxDelay is due, too.
	DueJobs(ctx context.Context, now time.Time) ([]playback.EnvironmentID, error)
	// ClaimJob claims the job that has been due the longest, for one claimant
	// alone; false: none is due.
	ClaimJob(ctx context.Context, c JobClaim) (Job, bool, error)
	// FinishJob removes a job that owner has claimed. One that was added again
	// meanwhile stays and is due. Nothing changes if somebody else has claimed it
	// since.
	FinishJob(ctx context.Context, owner string, job *Job, now time.Time) error
	// RetryJob gives back a job that owner has claimed: it is due again after a
	// while, or at once if it was added again meanwhile. Nothing changes if
	// somebody else has claimed it since.
	RetryJob(ctx context.Context, owner string, job *Job, due Due) error
	// WaitingJobs returns how many jobs there are, by kind: those that are due, that
	// wait for their next attempt, and that are being done.
	WaitingJobs(ctx context.Context, now time.Time) ([]Waiting, error)
}

// MaxDelay is the longest that a job may wait for its next attempt. One that is
// due later was given back by a clock that was ahead.
const MaxDelay = 48 * time.Hour

// Waiting is how many jobs of a kind there are.
type Waiting struct {
	Kind   string
	Jobs   int
	Oldest time.Duration // for how long one of them has been there
}

// Due is when a job is due again.
type Due struct {
	After time.Duration
	Now   time.Time // see JobClaim.Now
}
