-- Products, their stock, and what orders hold of it.

CREATE TABLE products (
    sku          text COLLATE "C" PRIMARY KEY,
    name         text COLLATE "C" NOT NULL,
    description  text,
    category     text,
    tax_category text NOT NULL,
    status       text NOT NULL CHECK (status IN ('draft', 'active', 'archived')),
    -- [{"currency": "GBP", "amount": "2.55"}], one entry per currency, sorted by it.
    prices       jsonb NOT NULL,
    version      bigint NOT NULL DEFAULT 1,
    created_at   timestamptz NOT NULL DEFAULT now(),
    updated_at   timestamptz NOT NULL DEFAULT now()
);

-- Lists are read in this order, page by page.
CREATE INDEX products_by_name ON products (name, sku);
CREATE INDEX products_by_category ON products (category, name, sku);

CREATE TABLE stock (
    sku      text COLLATE "C" PRIMARY KEY REFERENCES products (sku),
    on_hand  bigint NOT NULL DEFAULT 0,
    reserved bigint NOT NULL DEFAULT 0,
    CONSTRAINT stock_covers_reservations CHECK (0 <= reserved AND reserved <= on_hand)
) WITH (fillfactor = 50);  -- room for the next versions of a row beside it: updates stay off the index

-- Goods receipts and corrections, each reference once. on_hand = their sum, less what reservations
-- consumed, plus what came back of it.
CREATE TABLE stock_ledger (
    sku       text COLLATE "C" NOT NULL,
    reference text NOT NULL,
    adjust    bigint NOT NULL,
    reason    text,
    at        timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (sku, reference)
);

-- What an order holds, or held. Rows are kept: a repeated call finds its answer, and an order that
-- was released before it came (a tombstone: lines NULL) is never reserved.
CREATE TABLE reservations (
    order_id   uuid PRIMARY KEY,
    state      text NOT NULL CHECK (state IN ('held', 'released', 'consumed', 'restocked')),
    -- {"85123A": 6}: units per SKU; SKUs that the catalog does not know are not in it.
    units      jsonb NOT NULL,
    -- The priced lines as they were answered.
    lines      json,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);
