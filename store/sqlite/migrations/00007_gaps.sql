-- +goose Up
-- Packs of events that are damaged. Views of their time say that they lack some, also
-- when a pack is forgotten, as long as rollups are kept that did not count it.
CREATE TABLE gaps (
    tenant_id  INTEGER NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
    last_seq   INTEGER NOT NULL, -- of the segment
    first_time INTEGER NOT NULL, -- the earliest and the latest event, µs since the epoch
    last_time  INTEGER NOT NULL,
    events     INTEGER NOT NULL, -- how many
    counted    TEXT NOT NULL,    -- ids of the rollups that had counted them before, as a JSON array
    PRIMARY KEY (tenant_id, last_seq)
) STRICT, WITHOUT ROWID;
