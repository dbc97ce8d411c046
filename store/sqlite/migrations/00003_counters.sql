-- +goose Up
-- The last reading of each counter that sends totals, so that the next one tells
-- what they grew by: see store.Counter.
CREATE TABLE counters (
    tenant_id INTEGER NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
    series    BLOB NOT NULL,    -- 16 bytes: who counts what, since when
    time      INTEGER NOT NULL, -- of the reading, µs since the epoch
    count     REAL,             -- how many values; NULL when it is no distribution
    sum       REAL,             -- NULL when unknown
    touched   INTEGER NOT NULL, -- µs since the epoch
    PRIMARY KEY (tenant_id, series)
) STRICT, WITHOUT ROWID;
