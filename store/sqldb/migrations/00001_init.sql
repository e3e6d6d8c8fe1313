-- +goose Up
-- One schema for SQLite and PostgreSQL: both take these types, times are whole
-- numbers since the Unix epoch, and truth is 0 or 1.

-- What Mux last said of each asset and live stream, and (kind playback_id) which
-- playback IDs are gone. version: Unix microseconds. playback_ids: by spaces.
CREATE TABLE catalogue_objects (
    environment TEXT NOT NULL,
    kind TEXT NOT NULL,
    id TEXT NOT NULL,
    version BIGINT NOT NULL,
    deleted INTEGER NOT NULL,
    seq BIGINT NOT NULL,
    playback_ids TEXT NOT NULL,
    data BYTEA,
    PRIMARY KEY (environment, kind, id)
);
CREATE INDEX catalogue_objects_seq ON catalogue_objects (seq);
CREATE INDEX catalogue_objects_environment_seq ON catalogue_objects (environment, seq);

-- The last seq. Its one row is locked by whoever writes objects, so that they
-- become visible in the order of seq.
CREATE TABLE catalogue_clock (seq BIGINT NOT NULL);
INSERT INTO catalogue_clock (seq) VALUES (0);

-- When everything was last read from Mux, and until when somebody is at it:
-- Unix microseconds.
CREATE TABLE catalogue_syncs (
    environment TEXT PRIMARY KEY,
    done_at BIGINT NOT NULL,
    claimed_until BIGINT NOT NULL
);

CREATE TABLE webhook_events (
    environment TEXT NOT NULL,
    id TEXT NOT NULL,
    taken_at BIGINT NOT NULL,
    PRIMARY KEY (environment, id)
);
CREATE INDEX webhook_events_taken_at ON webhook_events (taken_at);

-- What viewers hold. Times and play_within: seconds; NULL: none.
CREATE TABLE grants (
    environment TEXT NOT NULL,
    id TEXT NOT NULL,
    issuer TEXT NOT NULL,
    viewer TEXT NOT NULL,
    type TEXT NOT NULL,
    scope_kind TEXT NOT NULL,
    scope_id TEXT NOT NULL,
    starts BIGINT,
    ends BIGINT,
    play_within BIGINT NOT NULL,
    first_play BIGINT,
    attributes BYTEA,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    revision BIGINT NOT NULL,
    PRIMARY KEY (environment, id)
);
CREATE INDEX grants_viewer ON grants (environment, issuer, viewer);

-- Until when tokens were handed out under each signing key.
CREATE TABLE key_ledger (
    environment TEXT NOT NULL,
    key_id TEXT NOT NULL,
    exp BIGINT NOT NULL,
    PRIMARY KEY (environment, key_id)
);

-- When whoever shares the store may do the next thing of a kind: Unix
-- microseconds.
CREATE TABLE paces (
    name TEXT PRIMARY KEY,
    next_at BIGINT NOT NULL
);
