-- Lists of one kind, whose documents may be few among millions.
CREATE INDEX documents_by_kind ON documents (kind, id DESC);

-- Entries go into the index at once: a list of what is still to be put in would be read through by every search.
DROP INDEX documents_by_words;
CREATE INDEX documents_by_words ON documents USING gin (words) WITH (fastupdate = off);

-- Who was given a way to which file. Entries are only added: not even the owner changes or deletes one by mistake. They
-- outlive their documents.
CREATE TABLE content_audit (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at          timestamptz NOT NULL DEFAULT now(),
    document_id uuid NOT NULL,
    customer_id text NOT NULL,      -- whose the document is
    issued_to   text NOT NULL,      -- the subject of the token
    request_id  text NOT NULL,      -- as in the logs
    sha256      bytea NOT NULL CHECK (octet_length(sha256) = 32),
    expires_at  timestamptz NOT NULL
);

CREATE INDEX content_audit_of_document ON content_audit (document_id, id DESC);
CREATE INDEX content_audit_to ON content_audit (issued_to, id DESC);

CREATE FUNCTION content_audit_is_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the audit is append-only' USING ERRCODE = 'restrict_violation';
END $$;

CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON content_audit
    FOR EACH STATEMENT EXECUTE FUNCTION content_audit_is_append_only();
