-- +goose Up
-- Whose screens a view was watched on first, as a name of fixed length.
ALTER TABLE view_states ADD COLUMN owner TEXT NOT NULL DEFAULT '';

-- JSON: ranges of ids that were given out while nobody watched, the newest last.
ALTER TABLE view_states ADD COLUMN loose TEXT NOT NULL DEFAULT '[]';

CREATE INDEX view_states_owner ON view_states (tenant_id, owner, touched);
CREATE INDEX view_states_tenant ON view_states (tenant_id, touched);
