-- +goose Up
-- Work that was acknowledged and is not done yet. due_at: Unix microseconds; of a
-- job that is claimed (owner is not ''), when the claim ends. revision: how often
-- the job was added; attempts: how often it was claimed since.
CREATE TABLE outbox (
    environment TEXT NOT NULL,
    kind TEXT NOT NULL,
    job_key TEXT NOT NULL,
    version BIGINT NOT NULL,
    payload BYTEA,
    revision BIGINT NOT NULL,
    attempts BIGINT NOT NULL,
    due_at BIGINT NOT NULL,
    owner TEXT NOT NULL,
    PRIMARY KEY (environment, kind, job_key)
);
CREATE INDEX outbox_due ON outbox (environment, due_at);
