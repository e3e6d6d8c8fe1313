-- +goose Up
-- added_at: since when the job waits, Unix microseconds. Of jobs that were there
-- before, the time at which they are due.
ALTER TABLE outbox ADD COLUMN added_at BIGINT NOT NULL DEFAULT 0;
UPDATE outbox SET added_at = due_at;
