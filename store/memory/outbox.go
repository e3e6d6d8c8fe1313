package memory

import (
	"bytes"
	"cmp"
	"context"
	"maps"
	"slices"
	"time"

	"github.com/playgate/playgate/playback"
	"github.com/playgate/playgate/store"
)

type jobKey struct{ kind, key string }

// job is a store.Job with when it is due and who has claimed it.
type job struct {
	store.Job

	added time.Time
	due   time.Time // of one that is claimed: when the claim ends
	owner string    // "": nobody has claimed it
}

// isDue reports whether the job, or the end of its claim, is due.
func (j *job) isDue(now time.Time) bool {
	return !j.due.After(now) || j.due.Sub(now) > store.MaxDelay
}

// AddJobs adds jobs; see store.Outbox.
func (s *Store) AddJobs(_ context.Context, batch store.JobBatch) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.addJobs(batch)
}

// addJobs adds jobs while s.mu is held.
func (s *Store) addJobs(batch store.JobBatch) error {
	added := map[playback.EnvironmentID]map[jobKey]bool{}
	for i := range batch.Jobs {
		j := &batch.Jobs[i]
		if s.jobs[j.Environment][jobKey{j.Kind, j.Key}] != nil {
			continue
		}
		if added[j.Environment] == nil {
			added[j.Environment] = map[jobKey]bool{}
		}
		added[j.Environment][jobKey{j.Kind, j.Key}] = true
		if len(s.jobs[j.Environment])+len(added[j.Environment]) > batch.Max {
			return store.ErrOutboxFull
		}
	}
	for i := range batch.Jobs {
		s.addJob(&batch.Jobs[i], batch.Now)
	}
	return nil
}

func (s *Store) addJob(added *store.Job, now time.Time) {
	of := s.jobs[added.Environment]
	if of == nil {
		of = map[jobKey]*job{}
		s.jobs[added.Environment] = of
	}
	key := jobKey{added.Kind, added.Key}
	j := of[key]
	if j == nil {
		j = &job{Job: store.Job{Environment: added.Environment, Kind: added.Kind, Key: added.Key, Version: added.Version}, added: now, due: now}
		of[key] = j
	}
	if added.Version >= j.Version {
		j.Version, j.Payload = added.Version, bytes.Clone(added.Payload)
	}
	j.Revision++
	j.Attempts = 0
	if j.owner == "" && now.Before(j.due) {
		j.due = now
	}
}

// DueJobs returns the environments that have jobs which are due.
func (s *Store) DueJobs(_ context.Context, now time.Time) ([]playback.EnvironmentID, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	var out []playback.EnvironmentID
	for env, jobs := range s.jobs {
		for _, j := range jobs {
			if j.isDue(now) {
				out = append(out, env)
				break
			}
		}
	}
	return out, nil
}

// WaitingJobs counts jobs; see store.Outbox.
func (s *Store) WaitingJobs(_ context.Context, now time.Time) ([]store.Waiting, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	kinds := map[string]store.Waiting{}
	for _, jobs := range s.jobs {
		for _, j := range jobs {
			w := kinds[j.Kind]
			kinds[j.Kind] = store.Waiting{Kind: j.Kind, Jobs: w.Jobs + 1, Oldest: max(w.Oldest, now.Sub(j.added))}
		}
	}
	return slices.SortedFunc(maps.Values(kinds), func(a, b store.Waiting) int { return cmp.Compare(a.Kind, b.Kind) }), nil
}

// ClaimJob claims a job; see store.Outbox.
func (s *Store) ClaimJob(_ context.Context, c store.JobClaim) (store.Job, bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var first *job
	for j := range maps.Values(s.jobs[c.Environment]) {
		if j.isDue(c.Now) && slices.Contains(c.Kinds, j.Kind) && (first == nil || j.due.Before(first.due)) {
			first = j
		}
	}
	if first == nil {
		return store.Job{}, false, nil
	}
	first.owner, first.due = c.Owner, c.Now.Add(c.Lease)
	first.Attempts++
	return first.Job, true, nil
}

// FinishJob removes a job; see store.Outbox.
func (s *Store) FinishJob(_ context.Context, owner string, done *store.Job, now time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	j := s.claimed(owner, done)
	switch {
	case j == nil:
	case j.Revision != done.Revision:
		j.owner, j.due, j.added = "", now, now
	default:
		delete(s.jobs[done.Environment], jobKey{done.Kind, done.Key})
		if len(s.jobs[done.Environment]) == 0 {
			delete(s.jobs, done.Environment)
		}
	}
	return nil
}

// RetryJob gives a job back; see store.Outbox.
func (s *Store) RetryJob(_ context.Context, owner string, back *store.Job, due store.Due) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	j := s.claimed(owner, back)
	if j == nil {
		return nil
	}
	j.owner = ""
	if j.Revision == back.Revision {
		j.due = due.Now.Add(due.After)
	} else {
		j.due, j.added = due.Now, due.Now
	}
	return nil
}

// claimed returns a job that owner has, nil if somebody else does.
func (s *Store) claimed(owner string, of *store.Job) *job {
	j := s.jobs[of.Environment][jobKey{of.Kind, of.Key}]
	if j == nil || j.owner != owner {
		return nil
	}
	return j
}
