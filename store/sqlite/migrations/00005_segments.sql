-- +goose Up
-- Packs of events, some hundreds or thousands a row: see pack.AppendEvents. Those that came
-- in alone are soon merged.
CREATE TABLE segments (
    id         INTEGER PRIMARY KEY,
    tenant_id  INTEGER NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
    first_seq  INTEGER NOT NULL, -- seqs of the tenant's events count up in the order of commits
    last_seq   INTEGER NOT NULL,
    first_time INTEGER NOT NULL, -- the earliest and the latest time, µs since the epoch
    last_time  INTEGER NOT NULL,
    events     INTEGER NOT NULL, -- how many
    received   INTEGER NOT NULL, -- when the last came in, µs since the epoch
    packed     BLOB NOT NULL
) STRICT;
CREATE UNIQUE INDEX segments_seq ON segments (tenant_id, last_seq, first_time, last_time);
CREATE INDEX segments_time ON segments (tenant_id, last_time, first_time, last_seq);

-- Ids of events, to tell duplicates: see package ids. Those of the last transactions
-- are a row for each.
CREATE TABLE recent_ids (
    id     INTEGER PRIMARY KEY AUTOINCREMENT,
    packed BLOB NOT NULL -- see appendIDs
) STRICT;

-- The others are in runs, sorted by their hashes.
CREATE TABLE id_runs (
    id             INTEGER PRIMARY KEY,
    ids            INTEGER NOT NULL, -- how many
    first_time     INTEGER NOT NULL, -- of the events, µs since the epoch
    last_time      INTEGER NOT NULL,
    last_received  INTEGER NOT NULL, -- µs since the epoch
    filter         BLOB NOT NULL     -- Bloom filter of the hashes
) STRICT;
CREATE TABLE id_pages (
    run        INTEGER NOT NULL,
    first_hash INTEGER NOT NULL,
    packed     BLOB NOT NULL -- see appendIDs
) STRICT;
CREATE UNIQUE INDEX id_pages_hash ON id_pages (run, first_hash);

-- Rollups are of other tiers from now on. They are filled from the events, all of which
-- are kept.
DELETE FROM rollup_steps;
DELETE FROM rollups;
