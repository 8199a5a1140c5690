-- Bundles: one zip of a period's documents, asked for and made later. Rows stay when the object is gone.
CREATE TABLE bundles (
    id            uuid PRIMARY KEY,
    requested_by  text NOT NULL,        -- the subject of the token
    requested_at  timestamptz NOT NULL DEFAULT now(),
    customer_id   text,                 -- whose documents; none: everybody's
    kind          text,                 -- none: all kinds
    from_day      date NOT NULL,
    to_day        date NOT NULL,
    state         text NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'running', 'ready', 'failed')),
    -- Of the process that makes it: who has not said for so long that it is alive has lost it.
    claim         uuid,
    claimed_until timestamptz,
    attempts      integer NOT NULL DEFAULT 0,
    -- How far it is.
    documents     integer NOT NULL DEFAULT 0,
    left_out      integer NOT NULL DEFAULT 0,
    left_out_of   json NOT NULL DEFAULT '[]',   -- the first of these
    failure       text,
    -- Of the file, once it is there.
    object_key    text,
    size_bytes    bigint,
    sha256        bytea CHECK (octet_length(sha256) = 32),
    finished_at   timestamptz,
    expires_at    timestamptz,
    CHECK (from_day <= to_day),
    CHECK ((state = 'running') = (claim IS NOT NULL)),
    CHECK ((state = 'ready') = (object_key IS NOT NULL)),
    CHECK ((state = 'failed') = (failure IS NOT NULL))
);
CREATE INDEX bundles_open ON bundles (requested_at) WHERE state IN ('waiting', 'running');
CREATE INDEX bundles_by ON bundles (requested_by) WHERE state IN ('waiting', 'running');
