-- Imports that were given a name, and how far they came: written by the transactions that save their products.
CREATE TABLE imports (
    name       text COLLATE "C" PRIMARY KEY,
    -- Bytes of the body that were taken, and their SHA-256: what is sent again must begin with them.
    bytes      bigint NOT NULL,
    digest     bytea NOT NULL,
    -- Lines of the body within these bytes.
    lines      bigint NOT NULL,
    -- The counts of the report; its errors are below.
    counts     jsonb NOT NULL,
    finished   boolean NOT NULL,
    started_by text NOT NULL,
    started_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);

-- The lines that were refused, as far as the report names them.
CREATE TABLE import_errors (
    name   text COLLATE "C" NOT NULL REFERENCES imports (name),
    line   bigint NOT NULL,
    errors jsonb NOT NULL,
    PRIMARY KEY (name, line)
);
