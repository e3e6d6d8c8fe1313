-- +goose Up
-- The same index serves a viewer's grants for what is asked for, all of a viewer's
-- grants, and the question under which issuers a viewer has any.
DROP INDEX grants_viewer;
CREATE INDEX grants_viewer ON grants (environment, viewer, issuer, scope_kind, scope_id);
