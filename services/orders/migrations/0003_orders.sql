-- One row per customer: the fence that orders effects (P3), and the number of the latest order.
CREATE TABLE customers (
    customer_id   text PRIMARY KEY,
    fence         bigint NOT NULL,
    last_sequence bigint NOT NULL DEFAULT 0 CHECK (last_sequence >= 0)
) WITH (fillfactor = 70);

-- One row per order. The columns are what lists and reports ask for; `doc` is the whole order as
-- the API shows it. It is `json`, not `jsonb`: it is read back as it was written, byte for byte, and
-- costs neither side a conversion.
CREATE TABLE orders (
    id                 uuid PRIMARY KEY,
    customer_id        text NOT NULL,
    reference          text,
    status             text NOT NULL,
    payment_status     text NOT NULL,
    fulfillment_status text NOT NULL,
    reason             text,
    currency           text NOT NULL,
    subtotal           numeric NOT NULL,
    tax_total          numeric NOT NULL,
    total              numeric NOT NULL,
    sequence           bigint NOT NULL CHECK (sequence > 0),
    version            bigint NOT NULL CHECK (version > 0),
    placed_at          timestamptz NOT NULL,
    accepted_at        timestamptz NOT NULL,
    updated_at         timestamptz NOT NULL,
    doc                json NOT NULL,
    CHECK (subtotal + tax_total = total)
);

-- Lists run newest first. Each has one index that ends in the sort key, so a page is a range of it.
CREATE INDEX orders_newest ON orders (accepted_at DESC, id DESC);
CREATE INDEX orders_of_customer ON orders (customer_id, accepted_at DESC, id DESC);
CREATE INDEX orders_by_status ON orders (status, accepted_at DESC, id DESC);
CREATE INDEX orders_by_reference ON orders (reference, accepted_at DESC, id DESC)
    WHERE reference IS NOT NULL;

-- Commands whose order has not come. They are applied when it does.
CREATE TABLE tombstones (
    order_id    uuid NOT NULL,
    customer_id text NOT NULL,
    message_id  uuid NOT NULL,
    fingerprint bytea NOT NULL CHECK (octet_length(fingerprint) = 32),
    accepted_at timestamptz NOT NULL,
    body        text NOT NULL,
    kept_at     timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (order_id, customer_id, message_id, fingerprint)
);

-- Commands of somebody else's order: they had no effect, and the order's owner does not see them.
CREATE TABLE ignored (
    message_id   uuid NOT NULL,
    customer_id  text NOT NULL,
    order_id     uuid NOT NULL,
    command      text NOT NULL,
    requested_by text NOT NULL,
    reason       text NOT NULL,
    ignored_at   timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (message_id, customer_id)
);

-- lz4 packs an order in a fraction of pglz's time, where the server was built with it.
DO $$
BEGIN
    ALTER TABLE orders ALTER COLUMN doc SET COMPRESSION lz4;
    ALTER TABLE outbox ALTER COLUMN payload SET COMPRESSION lz4;
EXCEPTION WHEN feature_not_supported OR invalid_parameter_value THEN
    RAISE NOTICE 'lz4 is not available: documents are packed by pglz';
END $$;
