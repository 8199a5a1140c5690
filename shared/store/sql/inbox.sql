-- Messages that took effect, each once. Rows are kept: an idempotency key holds for ever.
CREATE TABLE inbox (
    message_id  uuid PRIMARY KEY,
    fingerprint bytea NOT NULL CHECK (octet_length(fingerprint) = 32),
    seen_at     timestamptz NOT NULL DEFAULT now()
);
