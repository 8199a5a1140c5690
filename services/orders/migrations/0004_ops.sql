-- Whether workers work: one row, read by every worker each second.
CREATE TABLE maintenance (
    is_only    boolean PRIMARY KEY DEFAULT true CHECK (is_only),
    processing text NOT NULL CHECK (processing IN ('running', 'paused')),
    reason     text NOT NULL,
    until      timestamptz,
    changed_by text NOT NULL,
    changed_at timestamptz NOT NULL DEFAULT now()
);

-- What each worker says of itself, every few seconds. Losing it loses nothing.
CREATE UNLOGGED TABLE workers (
    instance    text PRIMARY KEY,
    reported_at timestamptz NOT NULL DEFAULT now(),
    report      json NOT NULL
);

-- What operators did. Entries are only added: not even the owner changes or deletes one by mistake.
CREATE TABLE ops_audit (
    id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at      timestamptz NOT NULL DEFAULT now(),
    by      text NOT NULL,
    action  text NOT NULL,
    subject text NOT NULL,
    reason  text NOT NULL,
    detail  json NOT NULL
);

CREATE INDEX ops_audit_by_action ON ops_audit (action, id DESC);

CREATE FUNCTION ops_audit_is_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the audit is append-only' USING ERRCODE = 'restrict_violation';
END $$;

CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON ops_audit
    FOR EACH STATEMENT EXECUTE FUNCTION ops_audit_is_append_only();
