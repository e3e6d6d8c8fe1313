package sqldb

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/playgate/playgate/playback"
	"github.com/playgate/playgate/store"
)

// In these statements NOW is the time in Unix microseconds, by the database's
// clock if it has one that all agree on, and MAXDELAY is store.MaxDelay.
const (
	// A job that is claimed stays claimed: whoever has it sees the revision when
	// it is finished.
	addJob = `
		INSERT INTO outbox (environment, kind, job_key, version, payload, revision, attempts, due_at, owner, added_at)
		VALUES ($1, $2, $3, $4, $5, 1, 0, NOW, '', NOW)
		ON CONFLICT (environment, kind, job_key) DO UPDATE SET
			payload = CASE WHEN excluded.version >= outbox.version THEN excluded.payload ELSE outbox.payload END,
			version = CASE WHEN excluded.version >= outbox.version THEN excluded.version ELSE outbox.version END,
			revision = outbox.revision + 1, attempts = 0,
			due_at = CASE WHEN outbox.owner = '' AND excluded.due_at < outbox.due_at THEN excluded.due_at ELSE outbox.due_at END
		RETURNING revision`
	// added_at is 0 in what a replica of the release before adds.
	waitingJobs = `SELECT kind, COUNT(*), NOW - COALESCE(MIN(NULLIF(added_at, 0)), NOW) FROM outbox GROUP BY kind ORDER BY kind`
	countJobs   = `SELECT COUNT(*) FROM (SELECT 1 FROM outbox WHERE environment = $1 LIMIT $2) AS counted`

	// Goes from one environment to the next by the index, however many jobs each
	// has.
	dueJobs = `
		WITH RECURSIVE e (environment) AS (
			SELECT MIN(environment) FROM outbox
			UNION ALL
			SELECT (SELECT MIN(o.environment) FROM outbox AS o WHERE o.environment > e.environment) FROM e WHERE e.environment IS NOT NULL
		)
		SELECT e.environment FROM e WHERE e.environment IS NOT NULL
			AND (EXISTS (SELECT 1 FROM outbox AS o WHERE o.environment = e.environment AND o.due_at <= NOW)
				OR EXISTS (SELECT 1 FROM outbox AS o WHERE o.environment = e.environment AND o.due_at > NOW + MAXDELAY))`

	// DUE is one of the following. LOCK lets those who claim at once pass over each other's rows. MATERIALIZED:
	// the choice is made once, or more rows than one might be locked.
	claimJob = `
		WITH due AS MATERIALIZED (
			SELECT environment, kind, job_key FROM outbox
			WHERE environment = $1 AND due_at DUE AND kind IN (KINDS) ORDER BY due_at LIMIT 1 LOCK
		)
		UPDATE outbox SET owner = $2, due_at = NOW + CAST($3 AS BIGINT), attempts = outbox.attempts + 1
		FROM due WHERE outbox.environment = due.environment AND outbox.kind = due.kind AND outbox.job_key = due.job_key
		RETURNING outbox.kind, outbox.job_key, outbox.version, outbox.payload, outbox.revision, outbox.attempts`

	isDue  = "<= NOW"
	wasDue = "> NOW + MAXDELAY" // by a clock that was ahead

	thisJob   = ` WHERE environment = $1 AND kind = $2 AND job_key = $3 AND owner = $4`
	finishJob = `DELETE FROM outbox` + thisJob + ` AND revision = $5`
	retryJob  = `
		UPDATE outbox SET owner = '', due_at = CASE WHEN revision = $5 THEN NOW + CAST($6 AS BIGINT) ELSE NOW END,
			added_at = CASE WHEN revision = $5 THEN added_at ELSE NOW END` + thisJob
)

// timed completes a statement that has NOW, and its arguments.
func (d *DB) timed(statement string, now time.Time, args ...any) (string, []any) {
	clock := d.dialect.Clock
	if clock == "" {
		args = append(args, now.UnixMicro())
		clock = "CAST($" + strconv.Itoa(len(args)) + " AS BIGINT)"
	}
	return strings.NewReplacer("NOW", clock, "MAXDELAY", strconv.FormatInt(store.MaxDelay.Microseconds(), 10)).Replace(statement), args
}

// AddJobs adds jobs; see store.Outbox.
func (d *DB) AddJobs(ctx context.Context, batch store.JobBatch) error {
	defer d.unmarked.Store(true)
	return d.inTx(ctx, func(tx *sql.Tx) error { return d.addJobs(ctx, tx, batch) })
}

// addJobs adds jobs in a transaction, always in the same order: others who add
// some of them wait, and nobody for each other.
func (d *DB) addJobs(ctx context.Context, tx *sql.Tx, batch store.JobBatch) error {
	jobs := slices.Clone(batch.Jobs)
	slices.SortFunc(jobs, func(a, b store.Job) int {
		return cmp.Or(cmp.Compare(a.Environment, b.Environment), cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Key, b.Key))
	})
	grown := map[playback.EnvironmentID]bool{}
	for i := range jobs {
		j := &jobs[i]
		statement, args := d.timed(addJob, batch.Now, j.Environment, j.Kind, j.Key, j.Version, j.Payload)
		var revision int64
		if err := tx.QueryRowContext(ctx, statement, args...).Scan(&revision); err != nil {
			return fmt.Errorf("adding a job to the outbox: %w", err)
		}
		if revision == 1 {
			grown[j.Environment] = true
		}
	}
	for env := range grown {
		var count int
		if err := tx.QueryRowContext(ctx, countJobs, env, batch.Max+1).Scan(&count); err != nil {
			return fmt.Errorf("counting the jobs in the outbox: %w", err)
		}
		if count > batch.Max {
			return store.ErrOutboxFull
		}
	}
	return nil
}

// DueJobs returns the environments that have jobs which are due.
func (d *DB) DueJobs(ctx context.Context, now time.Time) ([]playback.EnvironmentID, error) {
	statement, args := d.timed(dueJobs, now)
	rows, err := d.read.QueryContext(ctx, statement, args...)
	if err != nil {
		return nil, fmt.Errorf("reading the outbox: %w", err)
	}
	defer func() { _ = rows.Close() }()
	var out []playback.EnvironmentID
	for rows.Next() {
		var env playback.EnvironmentID
		if err := rows.Scan(&env); err != nil {
			return nil, fmt.Errorf("reading the outbox: %w", err)
		}
		out = append(out, env)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("reading the outbox: %w", err)
	}
	return out, nil
}

// WaitingJobs counts jobs; see store.Outbox.
func (d *DB) WaitingJobs(ctx context.Context, now time.Time) ([]store.Waiting, error) {
	statement, args := d.timed(waitingJobs, now)
	rows, err := d.read.QueryContext(ctx, statement, args...)
	if err != nil {
		return nil, fmt.Errorf("counting the jobs in the outbox: %w", err)
	}
	defer func() { _ = rows.Close() }()
	var out []store.Waiting
	for rows.Next() {
		var w store.Waiting
		var oldest int64
		if err := rows.Scan(&w.Kind, &w.Jobs, &oldest); err != nil {
			return nil, fmt.Errorf("counting the jobs in the outbox: %w", err)
		}
		w.Oldest = max(0, time.Duration(oldest)*time.Microsecond)
		out = append(out, w)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("counting the jobs in the outbox: %w", err)
	}
	return out, nil
}

// ClaimJob claims a job; see store.Outbox.
func (d *DB) ClaimJob(ctx context.Context, c store.JobClaim) (store.Job, bool, error) {
	for _, due := range [...]string{isDue, wasDue} { // one after the other: each is a range of the index
		if j, found, err := d.claimJob(ctx, &c, due); found || err != nil {
			return j, found, err
		}
	}
	return store.Job{}, false, nil
}

func (d *DB) claimJob(ctx context.Context, c *store.JobClaim, due string) (store.Job, bool, error) {
	args := []any{c.Environment, c.Owner, c.Lease.Microseconds()}
	places := make([]string, len(c.Kinds))
	for i, kind := range c.Kinds {
		args = append(args, kind)
		places[i] = "$" + strconv.Itoa(len(args))
	}
	statement := strings.NewReplacer("DUE", due, "KINDS", strings.Join(places, ", "), "LOCK", d.dialect.SkipLocked).Replace(claimJob)
	statement, args = d.timed(statement, c.Now, args...)
	j := store.Job{Environment: c.Environment}
	err := d.change(func() error {
		return d.write.QueryRowContext(ctx, statement, args...).Scan(&j.Kind, &j.Key, &j.Version, &j.Payload, &j.Revision, &j.Attempts)
	})
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return store.Job{}, false, nil
	case err != nil:
		return store.Job{}, false, fmt.Errorf("claiming a job of the outbox: %w", err)
	}
	return j, true, nil
}

// FinishJob removes a job; see store.Outbox.
func (d *DB) FinishJob(ctx context.Context, owner string, j *store.Job, now time.Time) error {
	done, err := d.execute(ctx, finishJob, j.Environment, j.Kind, j.Key, owner, j.Revision)
	if err != nil {
		return fmt.Errorf("removing a job from the outbox: %w", err)
	}
	if done {
		return nil
	}
	return d.RetryJob(ctx, owner, j, store.Due{Now: now}) // it was added again, or is somebody else's
}

// RetryJob gives a job back; see store.Outbox.
func (d *DB) RetryJob(ctx context.Context, owner string, j *store.Job, due store.Due) error {
	statement, args := d.timed(retryJob, due.Now, j.Environment, j.Kind, j.Key, owner, j.Revision, due.After.Microseconds())
	if _, err := d.execute(ctx, statement, args...); err != nil {
		return fmt.Errorf("giving a job back to the outbox: %w", err)
	}
	return nil
}
