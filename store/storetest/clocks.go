package storetest

import (
	"slices"
	"testing"
	"time"

	"github.com/playgate/playgate/store"
)

// apart is by how much the clocks of two replicas differ in these tests.
const apart = time.Hour

// claimAt claims a job of kind "test" by a replica's own clock, for half a minute.
func claimAt(t *testing.T, c *claimant) (store.Job, bool) {
	t.Helper()
	j, found, err := c.store.ClaimJob(t.Context(), store.JobClaim{
		Environment: c.job.Environment, Kinds: []string{c.job.Kind}, Owner: c.owner, Lease: 30 * time.Second, Now: c.now(),
	})
	must(t, err)
	return j, found
}

// claimant is a replica that wants a job.
type claimant struct {
	store store.Store
	owner string
	ahead time.Duration
	job   store.Job
}

func (c *claimant) now() time.Time { return now().Add(c.ahead) }

// jobsOfTwoClocks: where the store has no clock of its own, a replica whose clock is
// ahead may do a job that another one has claimed, or later than it could. None is
// lost, and the one that is late changes nothing.
func jobsOfTwoClocks(t *testing.T, open func(*testing.T) store.Store) {
	j := job(environment(), "a")
	right, ahead := &claimant{open(t), "right", 0, j}, &claimant{open(t), "ahead", apart, j}
	addJobs(t, right.store, j)
	first, found := claimAt(t, right)
	if !found {
		t.Fatal("a job that was added cannot be claimed")
	}
	if second, took := claimAt(t, ahead); took {
		must(t, right.store.FinishJob(t.Context(), right.owner, &first, right.now()))
		must(t, right.store.RetryJob(t.Context(), right.owner, &first, store.Due{Now: right.now()}))
		none(t, right.store, j.Environment)
		addJobs(t, right.store, j) // while it is done
		must(t, ahead.store.FinishJob(t.Context(), ahead.owner, &second, ahead.now()))
	} else {
		addJobs(t, right.store, j)
		must(t, right.store.FinishJob(t.Context(), right.owner, &first, right.now()))
	}
	again, found := claimAt(t, ahead)
	if !found || again.Revision != 2 {
		t.Fatalf("%+v, %v, want what was added meanwhile", again, found)
	}
	must(t, ahead.store.FinishJob(t.Context(), ahead.owner, &again, ahead.now()))
	for _, c := range []*claimant{right, ahead} {
		if left, found := claimAt(t, c); found {
			t.Errorf("%+v is left", left)
		}
	}
	// What the one puts off for a second is late for the other, unless it is added again.
	must(t, ahead.store.AddJobs(t.Context(), store.JobBatch{Jobs: []store.Job{j}, Max: roomy, Now: ahead.now()}))
	addJobs(t, right.store, j)
	if _, found := claimAt(t, right); !found {
		t.Error("a job that was added is not due")
	}
}

// JobsOfOneClock holds a driver with a clock of its own to it: whatever the replicas'
// clocks say, a job is claimed once, and due at once.
func JobsOfOneClock(t *testing.T, open func(*testing.T) store.Store) {
	t.Helper()
	for _, ahead := range []time.Duration{apart, -apart} {
		j := job(environment(), "a")
		right, other := &claimant{open(t), "right", 0, j}, &claimant{open(t), "other", ahead, j}
		must(t, other.store.AddJobs(t.Context(), store.JobBatch{Jobs: []store.Job{j}, Max: roomy, Now: other.now()}))
		got, found := claimAt(t, right)
		if !found {
			t.Errorf("%s ahead: a job that was added is not due", ahead)
		}
		if _, found := claimAt(t, other); found {
			t.Errorf("%s ahead: a job is claimed twice", ahead)
		}
		must(t, right.store.RetryJob(t.Context(), right.owner, &got, store.Due{Now: right.now()}))
		if _, found := claimAt(t, other); !found {
			t.Errorf("%s ahead: a job that was given back is not due", ahead)
		}
		if _, found := claimAt(t, right); found {
			t.Errorf("%s ahead: a job that was given back is claimed twice", ahead)
		}
	}
}

// futureJob has a job that is due in ten years, and a claim that ends then, as a
// clock left them that was ahead.
func futureJob(t *testing.T, open func(*testing.T) store.Store) {
	s := open(t)
	env := environment()
	const years = 10 * 365 * 24 * time.Hour
	addJobs(t, s, job(env, "a"))
	j, _ := claim(t, s, env, "one")
	retry(t, s, claimed{"one", &j}, years)
	if !due(t, s, env) {
		t.Error("a job that waits for ten years is not due")
	}
	if _, found, err := s.ClaimJob(t.Context(), store.JobClaim{Environment: env, Kinds: []string{"test"}, Owner: "two", Lease: years, Now: now()}); err != nil || !found {
		t.Errorf("a job that waits for ten years: %v, %v", found, err)
	}
	again, found := claim(t, s, env, "three")
	if !found {
		t.Fatal("a claim that ends in ten years is one")
	}
	retry(t, s, claimed{"three", &again}, store.MaxDelay-time.Hour)
	if due(t, s, env) {
		t.Error("the longest delay is none")
	}
	none(t, s, env)
}

func jobsCounted(t *testing.T, open func(*testing.T) store.Store) {
	s, replica := open(t), open(t)
	kind := "counted-" + string(environment())
	envs := []store.Job{job(environment(), "a"), job(environment(), "b"), job(environment(), "c")}
	count := func() store.Waiting {
		all, err := replica.WaitingJobs(t.Context(), now())
		must(t, err)
		if i := slices.IndexFunc(all, func(w store.Waiting) bool { return w.Kind == kind }); i >= 0 {
			return all[i]
		}
		return store.Waiting{}
	}
	equal(t, "before", store.Waiting{}, count())
	for i := range envs {
		envs[i].Kind = kind
	}
	addJobs(t, s, envs...)
	addJobs(t, s, envs[0])
	if w := count(); w.Jobs != len(envs) || w.Oldest < 0 || w.Oldest > apart {
		t.Errorf("%+v, want %d that were just added", w, len(envs))
	}
	j, found := claimAt(t, &claimant{s, "one", 0, envs[1]})
	if w := count(); !found || w.Jobs != len(envs) {
		t.Errorf("%+v, want one that is being done among %d", w, len(envs))
	}
	oldest := count().Oldest
	retry(t, s, claimed{"one", &j}, apart)
	for count().Oldest <= oldest && t.Context().Err() == nil { //nolint:revive // until a clock has moved on
	}
	again, _ := claimAt(t, &claimant{s, "one", 0, envs[2]})
	finish(t, s, "one", &again)
	if w := count(); w.Jobs != len(envs)-1 {
		t.Errorf("%+v, want %d", w, len(envs)-1)
	}
}
