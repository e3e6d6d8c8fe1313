-- +goose Up
-- The same index serves a viewer's grants of one issuer, and the question under
-- which issuers a viewer has any.
DROP INDEX grants_viewer;
CREATE INDEX grants_viewer ON grants (environment, viewer, issuer);
