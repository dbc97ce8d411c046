-- +goose Up
-- Networks that users signed in from: see Store.RememberSignIn.
CREATE TABLE sign_in_networks (
    user_id INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    network BLOB NOT NULL,    -- keyed hash; the address itself is not kept
    last    INTEGER NOT NULL, -- when the user last signed in from there, µs since the epoch
    PRIMARY KEY (user_id, network)
) STRICT, WITHOUT ROWID;
CREATE INDEX sign_in_networks_last ON sign_in_networks (last);
