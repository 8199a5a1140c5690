-- One row per legacy table that is moved, and how far it is.
CREATE TABLE blob_migrations (
    id           uuid PRIMARY KEY,      -- of the table and its columns
    source       text NOT NULL,
    after_id     text,                  -- all rows up to this one were looked at in this pass; none: from the beginning
    rows_moved   bigint NOT NULL DEFAULT 0,
    rows_known   bigint NOT NULL DEFAULT 0,
    bytes_moved  bigint NOT NULL DEFAULT 0,
    started_at   timestamptz NOT NULL DEFAULT now(),
    updated_at   timestamptz NOT NULL DEFAULT now(),
    -- When a whole pass found nothing that was not moved.
    complete_at  timestamptz
);

-- Where a legacy row's file is now.
CREATE TABLE moved_blobs (
    migration_id uuid NOT NULL REFERENCES blob_migrations,
    legacy_id    text NOT NULL,
    document_id  uuid NOT NULL,
    object_key   text NOT NULL,
    sha256       bytea NOT NULL CHECK (octet_length(sha256) = 32),
    moved_at     timestamptz NOT NULL DEFAULT now(),
    cleared_at   timestamptz,
    PRIMARY KEY (migration_id, legacy_id)
);
CREATE INDEX moved_blobs_uncleared ON moved_blobs (migration_id, legacy_id) WHERE cleared_at IS NULL;

-- What cannot be moved, or not be cleared. The last word on each row.
CREATE TABLE blob_faults (
    migration_id uuid NOT NULL REFERENCES blob_migrations,
    legacy_id    text NOT NULL,
    code         text NOT NULL,
    detail       text NOT NULL,
    noted_at     timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (migration_id, legacy_id)
);
