-- +goose Up
-- Events, some hundreds or thousands a row: see store.AppendSegment. Those that came
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

-- Ids of events, to tell duplicates. A generation is some hundred thousand ids that
-- came in one after the other. Ids are random, and a new one goes into a tree that
-- small, whatever is kept in all.
CREATE TABLE generations (
    id             INTEGER PRIMARY KEY,
    ids            INTEGER NOT NULL, -- how many
    first_time     INTEGER NOT NULL, -- of the events, µs since the epoch
    last_time      INTEGER NOT NULL,
    first_received INTEGER NOT NULL, -- µs since the epoch
    last_received  INTEGER NOT NULL,
    base_time      INTEGER NOT NULL, -- what times in event_ids count from
    base_received  INTEGER NOT NULL
) STRICT;

CREATE TABLE event_ids (
    generation INTEGER NOT NULL,
    tenant_id  INTEGER NOT NULL,
    hash       INTEGER NOT NULL, -- 64 bits of SHA-256 of name and id
    time       INTEGER NOT NULL, -- of the event, µs after the generation's base
    received   INTEGER NOT NULL, -- µs after the generation's base
    PRIMARY KEY (generation, tenant_id, hash, time)
) STRICT, WITHOUT ROWID;
