-- +goose Up
-- Two processes may open a new store at the same moment. The index lets a
-- version be recorded once, so each step is made by one of them and undone by
-- the other.
CREATE UNIQUE INDEX goose_db_version_once ON goose_db_version (version_id);

CREATE TABLE tenants (
    id   INTEGER PRIMARY KEY AUTOINCREMENT,
    slug TEXT NOT NULL UNIQUE, -- as people type it
    name TEXT NOT NULL,        -- as pages show it
    demo INTEGER NOT NULL      -- 1: its events are made up, and every page says so
) STRICT;

CREATE TABLE users (
    id            INTEGER PRIMARY KEY AUTOINCREMENT,
    tenant_id     INTEGER NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
    email         TEXT NOT NULL, -- lower case
    role          TEXT NOT NULL, -- viewer, editor or admin
    password_hash TEXT NOT NULL, -- argon2id, with its parameters
    UNIQUE (email, tenant_id)
) STRICT;

CREATE TABLE preferences (
    user_id INTEGER PRIMARY KEY REFERENCES users (id) ON DELETE CASCADE,
    refresh TEXT NOT NULL -- 5s, 15s, 30s, 1m or off
) STRICT;

-- The table that scs/sqlite3store reads and writes.
CREATE TABLE sessions (
    token  TEXT PRIMARY KEY, -- hash of the cookie's token
    data   BLOB NOT NULL,
    expiry REAL NOT NULL     -- Julian day
);
CREATE INDEX sessions_expiry ON sessions (expiry);

CREATE TABLE ingest_keys (
    hash      BLOB PRIMARY KEY, -- SHA-256 of the key; the key itself is not kept
    tenant_id INTEGER NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
    name      TEXT NOT NULL,
    created   INTEGER NOT NULL  -- µs since the epoch
) STRICT, WITHOUT ROWID;

-- What signs embed tokens. It has to be kept as it is, for a signature is made
-- with it; the file is for its owner only.
CREATE TABLE signing_secrets (
    kid       TEXT PRIMARY KEY, -- names the secret in a token's header
    tenant_id INTEGER NOT NULL UNIQUE REFERENCES tenants (id) ON DELETE CASCADE,
    secret    BLOB NOT NULL
) STRICT, WITHOUT ROWID;

-- What the server signs its own cookies with.
CREATE TABLE server_secrets (
    name   TEXT PRIMARY KEY,
    secret BLOB NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE dashboards (
    tenant_id  INTEGER NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
    id         TEXT NOT NULL,    -- unique within the tenant
    title      TEXT NOT NULL,    -- as lists sort by it
    definition TEXT NOT NULL,    -- the dashboard and its widgets, as a dashboard file
    updated    INTEGER NOT NULL, -- µs since the epoch
    PRIMARY KEY (tenant_id, id)
) STRICT, WITHOUT ROWID;

-- How far each tenant's data has come, so that one small row tells a reader
-- whether there is anything new.
CREATE TABLE heads (
    tenant_id  INTEGER PRIMARY KEY REFERENCES tenants (id) ON DELETE CASCADE,
    events     INTEGER NOT NULL, -- the greatest events.seq
    kept       INTEGER NOT NULL, -- the number of events
    dashboards INTEGER NOT NULL  -- counts changes of dashboards
) STRICT;

CREATE TABLE events (
    seq        INTEGER PRIMARY KEY AUTOINCREMENT, -- order of commits
    tenant_id  INTEGER NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
    name       TEXT NOT NULL,
    time       INTEGER NOT NULL, -- when it happened, µs since the epoch
    user       TEXT,             -- NULL when unknown
    properties TEXT NOT NULL,    -- a flat JSON object, keys in order
    received   INTEGER NOT NULL, -- µs since the epoch
    dedupe     BLOB              -- 16 bytes of SHA-256 of name and id; NULL without an id
) STRICT;
CREATE INDEX events_time ON events (tenant_id, time);
CREATE INDEX events_dedupe ON events (tenant_id, dedupe) WHERE dedupe IS NOT NULL;

-- Which ids a view issued and when its widgets last changed, for cursors.
CREATE TABLE view_states (
    tenant_id  INTEGER NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
    view       TEXT NOT NULL,    -- dashboard, range and variables
    first      INTEGER NOT NULL, -- the ids issued lie between
    last       INTEGER NOT NULL,
    epoch      INTEGER NOT NULL, -- the part of each id that names its history
    layout     TEXT NOT NULL,    -- digest of the dashboard's definition
    layout_seq INTEGER NOT NULL,
    widgets    TEXT NOT NULL,    -- JSON: by key, digests and the ids of the last changes
    touched    INTEGER NOT NULL, -- µs since the epoch
    PRIMARY KEY (tenant_id, view)
) STRICT, WITHOUT ROWID;
CREATE INDEX view_states_touched ON view_states (touched);
