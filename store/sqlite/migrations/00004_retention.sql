-- +goose Up
ALTER TABLE tenants ADD COLUMN event_days INTEGER NOT NULL DEFAULT 90;
ALTER TABLE tenants ADD COLUMN rollup_days INTEGER NOT NULL DEFAULT 730;

-- The old events of the tenant up to this seq are gone.
ALTER TABLE heads ADD COLUMN forgotten INTEGER NOT NULL DEFAULT 0;

-- When a step was last added to, in days since the epoch.
ALTER TABLE rollup_steps ADD COLUMN changed INTEGER NOT NULL DEFAULT 0;
UPDATE rollup_steps SET changed = unixepoch() / 86400;
