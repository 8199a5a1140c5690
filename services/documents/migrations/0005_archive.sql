-- Packs: many documents of one month and one day of removal in one object. Rows stay when the object is gone.
CREATE TABLE packs (
    id            uuid PRIMARY KEY,
    month         date NOT NULL,        -- its first day
    keep_until    date,                 -- by the rules when it was packed; none: for ever
    object_key    text NOT NULL,
    upload_id     text,                 -- while it is being written
    state         text NOT NULL CHECK (state IN ('writing', 'sealed', 'cold', 'removing', 'removed')),
    storage_class text NOT NULL,        -- that it is in, or will be
    documents     integer,
    size_bytes    bigint,
    sha256        bytea CHECK (octet_length(sha256) = 32),
    root          bytea CHECK (octet_length(root) = 32),    -- of the hash tree over its index
    -- Of the roots of all packs up to this one, in the order of their sealing: none can be taken out or put in unseen.
    sealed_as     bigint UNIQUE,
    chain         bytea CHECK (octet_length(chain) = 32),
    created_at    timestamptz NOT NULL DEFAULT now(),
    sealed_at     timestamptz,
    removed_at    timestamptz,
    -- Of a restore from a class that is not read at once.
    restore_requested_at timestamptz,
    restore_expected_at  timestamptz,
    CHECK ((state = 'writing') = (sealed_at IS NULL)),
    CHECK ((sealed_at IS NULL) = (root IS NULL)),
    CHECK ((sealed_at IS NULL) = (sealed_as IS NULL))
);
CREATE INDEX packs_unsettled ON packs (state) WHERE state IN ('writing', 'sealed', 'removing');

ALTER TABLE documents
    ADD COLUMN pack_id       uuid,          -- in which it lies, once it is archived
    ADD COLUMN pack_offset   bigint,
    -- Of a document in a pack: until then it also lies under its own key, and can be read at once.
    ADD COLUMN readable_until timestamptz,
    -- Why it cannot be packed: its file is missing, or another's.
    ADD COLUMN archive_fault text,
    ADD COLUMN removed_at    timestamptz,   -- its file; the row stays
    ADD COLUMN purged_at     timestamptz,   -- when the last object that held it was gone
    ADD CHECK ((pack_id IS NULL) = (pack_offset IS NULL)),
    ADD CHECK (pack_id IS NOT NULL OR readable_until IS NULL),
    ADD CHECK (removed_at IS NOT NULL OR purged_at IS NULL);
CREATE INDEX documents_of_pack ON documents (pack_id) WHERE pack_id IS NOT NULL;
CREATE INDEX documents_unpacked ON documents (issued_on)
    WHERE pack_id IS NULL AND removed_at IS NULL AND archive_fault IS NULL;
CREATE INDEX documents_unpurged ON documents (id) WHERE removed_at IS NOT NULL AND purged_at IS NULL;
CREATE INDEX documents_readable ON documents (readable_until) WHERE readable_until IS NOT NULL;

-- Who waits for a document that is in a cold pack.
CREATE TABLE restores (
    document_id  uuid PRIMARY KEY,
    pack_id      uuid NOT NULL REFERENCES packs,
    requested_at timestamptz NOT NULL DEFAULT now()
);

-- What must not be removed, whatever the retention time. Append-only but for its end.
CREATE TABLE legal_holds (
    id          uuid PRIMARY KEY,
    customer_id text,
    document_id uuid,
    reason      text NOT NULL CHECK (reason <> ''),
    placed_by   text NOT NULL,
    placed_at   timestamptz NOT NULL DEFAULT now(),
    released_by text,
    released_at timestamptz,
    CHECK ((customer_id IS NULL) <> (document_id IS NULL)),
    CHECK ((released_at IS NULL) = (released_by IS NULL))
);
CREATE INDEX legal_holds_in_force ON legal_holds (customer_id, document_id) WHERE released_at IS NULL;
