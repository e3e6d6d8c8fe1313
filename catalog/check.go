package catalog

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/playgate/playgate/playback"
	"github.com/playgate/playgate/store"
)

// CheckJob is the kind of the jobs that have Mux asked about an object until its
// answer is newer than the webhook that is the reason: an older one may not know
// of what happened then. The job's version is the webhook's time.
const CheckJob = "catalogue.check"

// maxRechecks is how often Mux is asked again for an answer that is newer: after
// one second, then after twice as long each time, for two minutes in all. An
// answer has whole seconds, so it may be as old as the event that it was asked
// for.
const maxRechecks = 7

func checkJob(env playback.EnvironmentID, t target, since time.Time) store.Job {
	return store.Job{Environment: env, Kind: CheckJob, Key: string(t.kind) + " " + t.id, Version: since.UnixMicro()}
}

// errTooOld makes a job be tried again.
var errTooOld = errors.New("the answer of Mux may be older than the webhook that it was asked for")

// Do does a CheckJob. With an error it is to be tried again.
func (s *Syncer) Do(ctx context.Context, job *store.Job) error {
	kind, id, ok := strings.Cut(job.Key, " ")
	if !ok {
		return fmt.Errorf("%.300q names no object of Mux", job.Key)
	}
	answered, err := s.check(ctx, target{store.Kind(kind), id})
	if err == nil && answered <= job.Version && job.Attempts <= maxRechecks {
		err = errTooOld
	}
	return err
}
