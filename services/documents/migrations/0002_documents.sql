-- The last number given, per series and year. Its row is locked from the number's taking to the commit of the
-- document that has it, so numbers have no gaps.
CREATE TABLE series (
    kind text   NOT NULL,
    year integer NOT NULL,
    last bigint NOT NULL CHECK (last > 0),
    PRIMARY KEY (kind, year)
);

-- One row per document. It is the document: `model` is all that it says, and the file is made of it, then or later.
CREATE TABLE documents (
    id          uuid NOT NULL,           -- the event that it was issued for
    issued_on   date NOT NULL,
    kind        text NOT NULL,
    number      text NOT NULL,
    customer_id text NOT NULL,
    order_id    uuid NOT NULL,
    currency    text,                    -- none on a delivery note, nor a total
    total       numeric,
    language    text NOT NULL,
    model       json NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT now(),
    -- Of the file, once it is stored.
    stored_at   timestamptz,
    object_key  text,
    sha256      bytea CHECK (octet_length(sha256) = 32),
    size_bytes  bigint,
    pages       integer,
    PRIMARY KEY (issued_on, id),
    CHECK ((stored_at IS NULL) = (object_key IS NULL)),
    CHECK ((stored_at IS NULL) = (sha256 IS NULL))
) PARTITION BY RANGE (issued_on);

CREATE INDEX documents_by_id ON documents (id);
CREATE INDEX documents_of_order ON documents (order_id);
CREATE INDEX documents_of_customer ON documents (customer_id, issued_on DESC, id DESC);
CREATE INDEX documents_by_number ON documents (number);
-- What has a number and no file yet.
CREATE INDEX documents_unstored ON documents (created_at) WHERE stored_at IS NULL;

-- Makes the partition of a month, once, whoever asks at the same time.
CREATE FUNCTION month_partition(day date) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    first date := date_trunc('month', day);
    name text := 'documents_' || to_char(first, 'YYYY_MM');
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('documents.month_partition'));
    EXECUTE format(
        'CREATE TABLE IF NOT EXISTS %I PARTITION OF documents FOR VALUES FROM (%L) TO (%L)',
        name, first, first + interval '1 month');
END $$;
