-- Messages that are true since the transaction that wrote them, and have not left yet.
CREATE TABLE outbox (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    event_id    uuid NOT NULL,
    key         text NOT NULL,
    topic       text NOT NULL,
    payload     text NOT NULL,
    traceparent text,
    created_at  timestamptz NOT NULL DEFAULT now(),
    -- Set when the message itself was refused: it, and its key's later ones, wait until then.
    attempts    integer NOT NULL DEFAULT 0,
    retry_at    timestamptz
) WITH (
    -- Rows come and go at the rate of orders; the defaults would let dead ones pile up.
    autovacuum_vacuum_scale_factor = 0.0,
    autovacuum_vacuum_threshold = 10000
);

CREATE INDEX outbox_held_back ON outbox (key) INCLUDE (retry_at) WHERE retry_at IS NOT NULL;
