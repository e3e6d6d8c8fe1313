package storetest

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/playgate/playgate/playback"
	"github.com/playgate/playgate/store"
)

// lease is how long claims of these tests last: hours, because a store may go by
// its own clock. They end by being given back.
const lease = time.Hour

// roomy is a bound that these tests do not reach.
const roomy = 1000

// now is the real time, because a store may go by its own clock.
func now() time.Time { return time.Now() } //nolint:forbidigo // see above

func job(env playback.EnvironmentID, key string) store.Job {
	return store.Job{Environment: env, Kind: "test", Key: key, Version: 1, Payload: []byte("p-" + key)}
}

func addJobs(t *testing.T, s store.Store, jobs ...store.Job) {
	t.Helper()
	must(t, s.AddJobs(t.Context(), store.JobBatch{Jobs: jobs, Max: roomy, Now: now()}))
}

// claim claims a job of an environment, of kind "test" or "other".
func claim(t *testing.T, s store.Store, env playback.EnvironmentID, owner string) (store.Job, bool) {
	t.Helper()
	j, found, err := s.ClaimJob(t.Context(), store.JobClaim{
		Environment: env, Kinds: []string{"test", "other"}, Owner: owner, Lease: lease, Now: now(),
	})
	must(t, err)
	return j, found
}

func none(t *testing.T, s store.Store, env playback.EnvironmentID) {
	t.Helper()
	if j, found := claim(t, s, env, "none"); found {
		t.Errorf("%s is due, want nothing", j.Key)
	}
}

func finish(t *testing.T, s store.Store, owner string, j *store.Job) {
	t.Helper()
	must(t, s.FinishJob(t.Context(), owner, j, now()))
}

// claimed is a job and who has claimed it.
type claimed struct {
	owner string
	job   *store.Job
}

func retry(t *testing.T, s store.Store, c claimed, after time.Duration) {
	t.Helper()
	must(t, s.RetryJob(t.Context(), c.owner, c.job, store.Due{After: after, Now: now()}))
}

func due(t *testing.T, s store.Store, env playback.EnvironmentID) bool {
	t.Helper()
	all, err := s.DueJobs(t.Context(), now())
	must(t, err)
	return slices.Contains(all, env)
}

func jobOnce(t *testing.T, open func(*testing.T) store.Store) {
	s, replica := open(t), open(t)
	env := environment()
	if due(t, s, env) {
		t.Error("an environment without jobs has some that are due")
	}
	addJobs(t, s, job(env, "a"))
	if !due(t, replica, env) {
		t.Error("a job that was added is not due")
	}
	got, found := claim(t, replica, env, "two")
	want := job(env, "a")
	want.Attempts, want.Revision = 1, 1
	equal(t, "claimed", want, got)
	if !found {
		t.Fatal("a job that was added cannot be claimed")
	}
	none(t, s, env)
	if due(t, s, env) {
		t.Error("a job that is claimed is due")
	}
	finish(t, s, "one", &got) // who has not claimed it
	none(t, s, env)
	retry(t, s, claimed{"one", &got}, 0)
	none(t, s, env)
	finish(t, replica, "two", &got)
	none(t, s, env)
	addJobs(t, s, job(env, "a"))
	if got, _ := claim(t, s, env, "one"); got.Revision != 1 || got.Attempts != 1 {
		t.Errorf("after it was finished, a job is added as %+v, want a new one", got)
	}
}

func jobsOfOneKey(t *testing.T, open func(*testing.T) store.Store) {
	s := open(t)
	env := environment()
	newer, older, other := job(env, "a"), job(env, "a"), job(env, "a")
	newer.Version, newer.Payload = 7, []byte("newer")
	other.Kind = "other"
	addJobs(t, s, job(env, "a"), newer)
	addJobs(t, s, older, other)
	addJobs(t, s, job(environment(), "a"))
	var got []string
	for range 2 {
		j, found := claim(t, s, env, "one")
		if !found {
			t.Fatalf("%d jobs, want 2", len(got))
		}
		got = append(got, fmt.Sprintf("%s %d %s", j.Kind, j.Version, j.Payload))
	}
	none(t, s, env)
	slices.Sort(got)
	equal(t, "jobs", []string{"other 1 p-a", "test 7 newer"}, got)
}

func jobAddedAgain(t *testing.T, open func(*testing.T) store.Store) {
	s := open(t)
	env := environment()
	addJobs(t, s, job(env, "a"))
	j, _ := claim(t, s, env, "one")
	addJobs(t, s, job(env, "a"))
	none(t, s, env) // one does it at a time
	finish(t, s, "one", &j)
	again, found := claim(t, s, env, "one")
	if !found || again.Revision != 2 || again.Attempts != 1 {
		t.Fatalf("a job that was added while it was done: %+v, %v, want it to be due", again, found)
	}
	addJobs(t, s, job(env, "a"))
	retry(t, s, claimed{"one", &again}, lease)
	if again, found = claim(t, s, env, "one"); !found {
		t.Fatal("a job that was added while it failed waits")
	}
	retry(t, s, claimed{"one", &again}, lease)
	none(t, s, env)
	addJobs(t, s, job(env, "a"))
	if again, found = claim(t, s, env, "one"); !found || again.Attempts != 1 {
		t.Errorf("a job that is added while it waits: %+v, %v, want it to be due", again, found)
	}
}

func jobRetried(t *testing.T, open func(*testing.T) store.Store) {
	s, replica := open(t), open(t)
	env := environment()
	addJobs(t, s, job(env, "a"))
	j, _ := claim(t, s, env, "one")
	retry(t, s, claimed{"one", &j}, lease)
	none(t, s, env)
	if due(t, s, env) {
		t.Error("a job that waits is due")
	}
	addJobs(t, s, job(env, "b"))
	if j, _ = claim(t, s, env, "one"); j.Key != "b" {
		t.Errorf("claimed %s, want the one that does not wait", j.Key)
	}
	retry(t, s, claimed{"one", &j}, 0)
	again, found := claim(t, replica, env, "two")
	if !found || again.Key != "b" || again.Attempts != 2 || again.Revision != 1 {
		t.Errorf("a job that was given back: %+v, %v", again, found)
	}
}

// jobOfTheDead: a claim whose time is over is no claim.
func jobOfTheDead(t *testing.T, open func(*testing.T) store.Store) {
	s, replica := open(t), open(t)
	env := environment()
	addJobs(t, s, job(env, "a"))
	dead, found, err := s.ClaimJob(t.Context(), store.JobClaim{Environment: env, Kinds: []string{"test"}, Owner: "dead", Lease: time.Microsecond, Now: now()})
	if must(t, err); !found {
		t.Fatal("a job that was added cannot be claimed")
	}
	var next store.Job
	for found = false; !found && t.Context().Err() == nil; {
		next, found = claim(t, replica, env, "next") // until the claim is over
	}
	if next.Key != "a" || next.Attempts != 2 {
		t.Errorf("%+v, want the job of the dead", next)
	}
	finish(t, s, "dead", &dead) // it lives after all
	retry(t, s, claimed{"dead", &dead}, 0)
	none(t, s, env)
	finish(t, replica, "next", &next)
	none(t, s, env)
	if due(t, s, env) {
		t.Error("a job that was finished is due")
	}
}

func jobKinds(t *testing.T, open func(*testing.T) store.Store) {
	s := open(t)
	env := environment()
	unknown := job(env, "a")
	unknown.Kind = "of the next release"
	addJobs(t, s, unknown)
	none(t, s, env)
	if !due(t, s, env) {
		t.Error("a job that somebody else can do is not due")
	}
}

func jobsBounded(t *testing.T, open func(*testing.T) store.Store) {
	s := open(t)
	env := environment()
	const limit = 3
	batch := func(keys ...string) error {
		var jobs []store.Job
		for _, key := range keys {
			jobs = append(jobs, job(env, key))
		}
		return s.AddJobs(t.Context(), store.JobBatch{Jobs: jobs, Max: limit, Now: now()})
	}
	must(t, batch("a", "b", "a"))
	if err := batch("c", "d"); !errors.Is(err, store.ErrOutboxFull) {
		t.Errorf("four of three: %v, want ErrOutboxFull", err)
	}
	must(t, batch("c")) // so nothing of it was added
	must(t, batch("a", "c"))
	event := &store.Event{Environment: env, ID: "e1", At: now(), Work: store.JobBatch{Jobs: []store.Job{job(env, "d")}, Max: limit, Now: now()}}
	if _, _, err := s.Apply(t.Context(), event, []store.Object{asset(env, "A", 1, "x")}, union); !errors.Is(err, store.ErrOutboxFull) {
		t.Errorf("an event without room: %v, want ErrOutboxFull", err)
	}
	if got := contents(t, s, env); len(got) > 0 {
		t.Errorf("an event without room has written %v", got)
	}
	must(t, s.AddJobs(t.Context(), store.JobBatch{Jobs: []store.Job{job(environment(), "a")}, Max: 1, Now: now()}))
	j, _ := claim(t, s, env, "one")
	finish(t, s, "one", &j)
	_, fresh, err := s.Apply(t.Context(), event, nil, union)
	if must(t, err); !fresh {
		t.Error("an event without room was noted")
	}
}

// jobWithItsEvent: both are there, or neither.
func jobWithItsEvent(t *testing.T, open func(*testing.T) store.Store) {
	s, replica := open(t), open(t)
	env := environment()
	event := &store.Event{Environment: env, ID: "e1", At: now(), Work: store.JobBatch{Jobs: []store.Job{job(env, "a")}, Max: roomy, Now: now()}}
	_, fresh, err := s.Apply(t.Context(), event, nil, union)
	must(t, err)
	j, found := claim(t, replica, env, "two")
	if !fresh || !found || j.Key != "a" {
		t.Fatalf("an event with a job: fresh %v, %+v, %v", fresh, j, found)
	}
	finish(t, replica, "two", &j)
	_, fresh, err = replica.Apply(t.Context(), event, nil, union)
	if must(t, err); fresh {
		t.Error("an event was taken twice")
	}
	none(t, s, env)
}

// jobsAtOnce: however many claim at once, each job is done once.
func jobsAtOnce(t *testing.T, open func(*testing.T) store.Store) {
	const workers, jobs = 4, 40
	s := open(t)
	env := environment()
	for n := range jobs {
		addJobs(t, s, job(env, fmt.Sprint("k", n)))
	}
	done := make(chan string, 2*jobs)
	var wg sync.WaitGroup
	for w := range workers {
		own, owner := open(t), fmt.Sprint("w", w)
		wg.Go(func() {
			for {
				j, found, err := own.ClaimJob(t.Context(), store.JobClaim{Environment: env, Kinds: []string{"test"}, Owner: owner, Lease: lease, Now: now()})
				if err == nil && found {
					err = own.FinishJob(t.Context(), owner, &j, now())
				}
				if err != nil || !found { // what others have claimed is theirs
					if err != nil {
						t.Error(err)
					}
					return
				}
				done <- j.Key
			}
		})
	}
	wg.Wait()
	close(done)
	times := map[string]int{}
	for key := range done {
		if times[key]++; times[key] > 1 {
			t.Errorf("%s was done %d times", key, times[key])
		}
	}
	if len(times) != jobs {
		t.Errorf("%d jobs were done, want %d", len(times), jobs)
	}
}
