-- The last number given, per series and year. Its row is locked from the number's taking to the commit of the
-- document that has it, so numbers have no gaps.
CREATE TABLE series (
    kind text   NOT NULL,
    year integer NOT NULL,
    last bigint NOT NULL CHECK (last > 0),
    PRIMARY KEY (kind, year)
);

-- An id is a UUIDv7: its first 48 bits are the time of issue in milliseconds. So ids sort by time, and an id alone
-- tells its month. This is the least id of a day (UTC).
CREATE FUNCTION first_id(day date) RETURNS uuid LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT (lpad(to_hex((extract(epoch FROM day) * 1000)::bigint), 12, '0') || '00000000000000000000')::uuid
$$;

-- What is known of documents, issued here or brought in from elsewhere: what lists and searches read.
CREATE TABLE documents (
    id           uuid NOT NULL PRIMARY KEY,
    issued_on    date NOT NULL,
    kind         text NOT NULL,
    number       text NOT NULL,
    customer_id  text NOT NULL,
    order_id     uuid,                -- none if it came from elsewhere
    currency     text,                -- none on a delivery note, nor a total
    total        numeric,
    language     text,
    -- What a search by words finds it by.
    words        tsvector NOT NULL DEFAULT '',
    created_at   timestamptz NOT NULL DEFAULT now(),
    -- Of the file, once it is stored.
    stored_at    timestamptz,
    object_key   text,
    content_type text NOT NULL DEFAULT 'application/pdf',
    sha256       bytea CHECK (octet_length(sha256) = 32),
    size_bytes   bigint,
    pages        integer,
    CHECK (id >= first_id(issued_on) AND id < first_id(issued_on + 1)),
    CHECK ((stored_at IS NULL) = (object_key IS NULL)),
    CHECK ((stored_at IS NULL) = (sha256 IS NULL)),
    CHECK ((stored_at IS NULL) = (size_bytes IS NULL))
) PARTITION BY RANGE (id);

CREATE INDEX documents_of_order ON documents (order_id);
CREATE INDEX documents_of_customer ON documents (customer_id, id DESC);
CREATE INDEX documents_by_number ON documents (number);
CREATE INDEX documents_by_total ON documents (total);
CREATE INDEX documents_by_words ON documents USING gin (words);
-- What has a number and no file yet.
CREATE INDEX documents_unstored ON documents (created_at) WHERE stored_at IS NULL;

-- All that a document that was issued here says: its file is made of it, then or later. Apart from `documents`, so that
-- those stay small.
CREATE TABLE models (
    id    uuid NOT NULL PRIMARY KEY,
    model json NOT NULL
) PARTITION BY RANGE (id);

-- For ids of months that have no partition. Empty, unless somebody wrote past `month_partition`.
CREATE TABLE documents_rest PARTITION OF documents DEFAULT;
CREATE TABLE models_rest PARTITION OF models DEFAULT;

-- Makes the partitions of a month, once, whoever asks at the same time, and moves in what waited in the rest. They are
-- attached, not made in place: that does not hold up who reads or writes other months.
CREATE FUNCTION month_partition(day date) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    since uuid := first_id(date_trunc('month', day)::date);
    till uuid := first_id((date_trunc('month', day) + interval '1 month')::date);
    parent text;
    name text;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('documents.month_partition'));
    FOREACH parent IN ARRAY ARRAY['documents', 'models'] LOOP
        name := parent || '_' || to_char(day, 'YYYY_MM');
        CONTINUE WHEN to_regclass(name) IS NOT NULL;
        EXECUTE format('CREATE TABLE %I (LIKE %I INCLUDING ALL)', name, parent);
        EXECUTE format(
            'WITH moved AS (DELETE FROM %I WHERE id >= %L AND id < %L RETURNING *) INSERT INTO %I SELECT * FROM moved',
            parent || '_rest', since, till, name);
        EXECUTE format('ALTER TABLE %I ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)', parent, name, since, till);
    END LOOP;
END $$;
