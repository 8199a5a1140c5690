-- Lists with filters and facets, and full-text search.

-- Similar words are found by trigrams. The extension is trusted (since Postgres 13): whoever may create in the
-- database may create it; where the service's role may not, an administrator makes it in this schema beforehand.
CREATE EXTENSION IF NOT EXISTS pg_trgm;

DO $$
DECLARE
    place text;
BEGIN
    SELECT extnamespace::regnamespace::text INTO place FROM pg_extension WHERE extname = 'pg_trgm';
    IF place <> current_schema() THEN
        RAISE EXCEPTION 'pg_trgm is in the schema %, and the catalog looks for it in its own', place
            USING HINT = format('ALTER EXTENSION pg_trgm SET SCHEMA %I', current_schema());
    END IF;
END $$;

ALTER TABLE products
    -- What the product can be filtered by: brand=Acme, size=M, $GBP:57 (a step of the price that applies now to
    -- everyone) and $GBP=2.50 (that price).
    ADD labels text[] NOT NULL DEFAULT '{}',
    -- The same of the product and its variants for sale together: by this it is listed.
    ADD facets text[] NOT NULL DEFAULT '{}',
    -- The version that labels and search were made of; another one than the row's, or none: they are to be made anew.
    -- So a release before this one may write beside it.
    ADD indexed_version bigint,
    -- When a price next comes into force or ends, and labels are to be made anew.
    ADD due_at timestamptz;

CREATE INDEX products_stale ON products (sku) WHERE indexed_version IS DISTINCT FROM version;
CREATE INDEX products_due ON products (due_at) WHERE due_at IS NOT NULL;

-- What shoppers page through.
CREATE INDEX products_listed ON products (name, sku)
    WHERE variant_of IS NULL AND status = 'active';
CREATE INDEX products_listed_by_category ON products (category, name, sku)
    WHERE variant_of IS NULL AND status = 'active';
CREATE INDEX products_listed_by_facets ON products USING gin (facets)
    WHERE variant_of IS NULL AND status = 'active';
CREATE INDEX products_by_lower_sku ON products (lower(sku) COLLATE "C");

-- Words of products, in all their languages, folded to lower case without accents.
CREATE TABLE search_docs (
    sku    text COLLATE "C" PRIMARY KEY,
    -- The product that a list shows for it: itself, or what it is a variant of.
    shown  text COLLATE "C" NOT NULL,
    active boolean NOT NULL,
    doc    tsvector NOT NULL
);

CREATE INDEX search_docs_by_word ON search_docs USING gin (doc);

-- Every word that a name or attribute has or had: where a misspelt word finds its neighbours.
CREATE TABLE search_words (
    word text COLLATE "C" PRIMARY KEY
);

CREATE INDEX search_words_alike ON search_words USING gin (word gin_trgm_ops);

CREATE AGGREGATE together(tsvector) (SFUNC = tsvector_concat, STYPE = tsvector, INITCOND = '');
