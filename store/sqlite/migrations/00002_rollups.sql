-- +goose Up
-- What dashboards read, folded: see store.Rollup. upto is the seq up to which
-- events are in its steps; who reads adds those that came later.
CREATE TABLE rollups (
    id        INTEGER PRIMARY KEY AUTOINCREMENT,
    tenant_id INTEGER NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
    key       TEXT NOT NULL,    -- names what is folded and how
    upto      INTEGER NOT NULL,
    wide      INTEGER NOT NULL, -- 1: it has too many groups to be kept
    UNIQUE (tenant_id, key)
) STRICT;

CREATE TABLE rollup_steps (
    rollup_id INTEGER NOT NULL REFERENCES rollups (id) ON DELETE CASCADE,
    tier      INTEGER NOT NULL, -- length of the step in seconds
    start     INTEGER NOT NULL, -- seconds since the epoch
    cells     BLOB NOT NULL,    -- by group, see store.RollupStep
    PRIMARY KEY (rollup_id, tier, start)
) STRICT, WITHOUT ROWID;
