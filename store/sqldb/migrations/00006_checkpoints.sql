-- +goose Up
-- States of the store: all changes up to seq were there. stamp is a random number,
-- the same in every copy of one history, and another one in a store that went back
-- to an earlier state and on from there. 0: before there were stamps.
CREATE TABLE store_checkpoints (
    seq BIGINT PRIMARY KEY,
    stamp BIGINT NOT NULL
);
INSERT INTO store_checkpoints (seq, stamp) SELECT seq, 0 FROM catalogue_clock;
