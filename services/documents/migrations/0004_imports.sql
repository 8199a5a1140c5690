-- Documents that were issued elsewhere: a file and what the manifest says of it, but nothing to render it from.
ALTER TABLE documents ADD COLUMN country text;      -- whose law says how long it is kept; none: the shop's own
ALTER TABLE documents ADD COLUMN import_id uuid;

-- One row per manifest, and how far it is. `next_offset` moves in the transaction that settles the rows before it.
CREATE TABLE imports (
    id              uuid PRIMARY KEY,   -- of the manifest's place and content
    source          text   NOT NULL,
    manifest_sha256 bytea  NOT NULL CHECK (octet_length(manifest_sha256) = 32),
    manifest_bytes  bigint NOT NULL,
    rows_total      bigint NOT NULL,
    next_offset     bigint NOT NULL DEFAULT 0,  -- of the first byte that is not settled
    next_line       bigint NOT NULL DEFAULT 1,  -- of the first line that is not settled
    rows_imported   bigint NOT NULL DEFAULT 0,
    rows_known      bigint NOT NULL DEFAULT 0,  -- the same document was there before
    rows_refused    bigint NOT NULL DEFAULT 0,
    bytes_imported  bigint NOT NULL DEFAULT 0,
    started_at      timestamptz NOT NULL DEFAULT now(),
    updated_at      timestamptz NOT NULL DEFAULT now(),
    finished_at     timestamptz
);

-- What is wrong, by line. Counted without end, kept up to a limit.
CREATE TABLE import_faults (
    import_id uuid   NOT NULL REFERENCES imports ON DELETE CASCADE,
    line      bigint NOT NULL,
    code      text   NOT NULL,
    detail    text   NOT NULL,
    PRIMARY KEY (import_id, line)
);

-- Whose a number is: a document's, once, whichever import brings it. `documents` is partitioned by month and cannot say.
CREATE TABLE imported_numbers (
    kind        text NOT NULL,
    number      text NOT NULL,
    document_id uuid NOT NULL,
    sha256      bytea NOT NULL CHECK (octet_length(sha256) = 32),
    PRIMARY KEY (kind, number)
);
