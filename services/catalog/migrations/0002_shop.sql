-- Variants, categories, languages, attributes, prices by list and time (they are in products.prices),
-- stock by location, and who changed what. Only additions: a release before this one runs beside it.

-- A tree; what is at the top has no parent.
CREATE TABLE categories (
    code         text COLLATE "C" PRIMARY KEY,
    name         text NOT NULL,
    parent       text COLLATE "C" REFERENCES categories (code),
    -- {"de": "Lampen"}
    translations jsonb NOT NULL DEFAULT '{}',
    version      bigint NOT NULL DEFAULT 1,
    created_by   text,
    updated_at   timestamptz NOT NULL DEFAULT now()
);

CREATE INDEX categories_by_parent ON categories (parent);

-- What products named so far.
INSERT INTO categories (code, name)
SELECT DISTINCT category, category FROM products WHERE category IS NOT NULL;

ALTER TABLE products
    -- {"de": {"name": "…", "description": "…"}}
    ADD translations jsonb NOT NULL DEFAULT '{}',
    -- {"brand": "Acme"}
    ADD attributes jsonb NOT NULL DEFAULT '{}',
    ADD variant_of text COLLATE "C",
    -- {"size": "M"}: what sets a variant apart.
    ADD options jsonb NOT NULL DEFAULT '{}',
    -- When so few units are left, it is told.
    ADD low_at bigint,
    ADD created_by text;

CREATE INDEX products_variants ON products (variant_of) WHERE variant_of IS NOT NULL;

-- Units that lie elsewhere than at the main location, which has the rest of stock.on_hand: so a shop
-- with one location has no rows here. Guarded by the lock of the row in stock.
CREATE TABLE stock_at (
    sku      text COLLATE "C" NOT NULL REFERENCES stock (sku),
    location text COLLATE "C" NOT NULL,
    on_hand  bigint NOT NULL CHECK (on_hand >= 0),
    PRIMARY KEY (sku, location)
);

ALTER TABLE stock_ledger
    ADD location text COLLATE "C" NOT NULL DEFAULT 'main',
    ADD booked_by text;

CREATE INDEX stock_ledger_by_time ON stock_ledger (sku, at DESC, reference);

-- What products and categories were before each change, who made it and when. Who made them first is
-- in their own rows. Rows are only added: not even the owner changes or deletes one by mistake.
CREATE TABLE changes (
    kind    text NOT NULL CHECK (kind IN ('product', 'category')),
    subject text COLLATE "C" NOT NULL,
    -- The version that the change made.
    version bigint NOT NULL,
    at      timestamptz NOT NULL DEFAULT now(),
    by      text NOT NULL,
    before  jsonb NOT NULL,
    PRIMARY KEY (kind, subject, version)
);

CREATE FUNCTION changes_are_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'changes are append-only' USING ERRCODE = 'restrict_violation';
END $$;

CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON changes
    FOR EACH STATEMENT EXECUTE FUNCTION changes_are_append_only();
