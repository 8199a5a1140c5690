-- Lists of one price step, and a sample of what can be searched. Only additions, and kept by triggers, so that a release
-- before this one keeps them, too. Whoever writes products waits until what is there is in them.

-- Attributes and options, and steps of prices ($GBP:57); a price itself ($GBP=2.50) is looked at in the product.
CREATE OR REPLACE FUNCTION labels_listed(product products) RETURNS TABLE (label text) LANGUAGE sql IMMUTABLE AS $$
    SELECT label FROM unnest(product.facets) AS label
    WHERE product.variant_of IS NULL AND product.status = 'active' AND label NOT LIKE '$%=%'
$$;

-- The triggers of 0008 call that function: none of them may run with the one before it after the rows are read.
LOCK TABLE products IN SHARE ROW EXCLUSIVE MODE;

INSERT INTO listed
SELECT label, name, sku FROM products, labels_listed(products) WHERE label LIKE '$%' ON CONFLICT DO NOTHING;

-- What a category, attributes and prices have in common is asked of one index: two with the same condition Postgres would
-- not use together.
CREATE INDEX products_listed_by_labels ON products USING gin (facets, (ARRAY[category]))
    WITH (gin_pending_list_limit = 64) WHERE variant_of IS NULL AND status = 'active';
-- contracts: the one above begins with the same column
DROP INDEX products_listed_by_facets;

-- What a list filters by, beside the words: so a filtered search is asked of one index, and finds all that there is.
CREATE FUNCTION labels_found(product products) RETURNS text[] LANGUAGE sql IMMUTABLE AS $$
    SELECT ARRAY(SELECT label FROM unnest(product.facets) AS label WHERE label NOT LIKE '$%=%')
           || ('$category=' || coalesce(product.category, ''))
$$;

-- contracts: one of the same name, which begins with the same column, is made below
DROP INDEX search_docs_by_word;
ALTER TABLE search_docs ADD labels text[] NOT NULL DEFAULT '{}';
UPDATE search_docs SET labels = labels_found(products) FROM products WHERE products.sku = search_docs.shown;
CREATE INDEX search_docs_by_word ON search_docs USING gin (doc, labels) WITH (gin_pending_list_limit = 64);
-- Words of names and values, which go before those of descriptions.
CREATE INDEX search_docs_by_name ON search_docs USING gin (ts_filter(doc, '{a,b}')) WITH (gin_pending_list_limit = 64);

CREATE FUNCTION doc_labelled() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    SELECT labels_found(products) INTO NEW.labels FROM products WHERE sku = NEW.shown;
    NEW.labels := coalesce(NEW.labels, '{}');
    RETURN NEW;
END $$;

CREATE FUNCTION docs_relabelled() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE search_docs SET labels = changed.labels
    FROM (
        SELECT shown.sku AS shown, doc.sku, shown.labels
        FROM (
            SELECT after.sku, labels_found(after) AS labels FROM after JOIN before USING (sku)
            WHERE (after.facets, after.category) IS DISTINCT FROM (before.facets, before.category)
        ) AS shown
        CROSS JOIN LATERAL (
            SELECT shown.sku UNION ALL SELECT sku FROM products WHERE variant_of = shown.sku
        ) AS doc
    ) AS changed
    WHERE (search_docs.sku, search_docs.shown) = (changed.sku, changed.shown) AND search_docs.labels <> changed.labels;
    RETURN NULL;
END $$;

CREATE TRIGGER doc_labelled BEFORE INSERT OR UPDATE OF shown, doc ON search_docs
    FOR EACH ROW EXECUTE FUNCTION doc_labelled();
CREATE TRIGGER docs_relabelled AFTER UPDATE ON products
    REFERENCING OLD TABLE AS before NEW TABLE AS after FOR EACH STATEMENT EXECUTE FUNCTION docs_relabelled();

-- A quarter of the products for sale, picked by chance, as search_docs has them: of a word that many have, enough are
-- found here, and nobody needs to gather them all. Each tier lies together, so that what is read of it is little.
CREATE TABLE search_sample (
    tier  smallint NOT NULL,
    sku   text COLLATE "C" NOT NULL,
    shown text COLLATE "C" NOT NULL,
    doc   tsvector NOT NULL,
    PRIMARY KEY (tier, sku)
) PARTITION BY LIST (tier);
CREATE TABLE search_sample_0 PARTITION OF search_sample FOR VALUES IN (0);
CREATE TABLE search_sample_1 PARTITION OF search_sample FOR VALUES IN (1);

-- One of sixteen; three more of sixteen; nothing for the others.
CREATE FUNCTION sample_tier(sku text) RETURNS smallint LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN left(md5(sku), 1) = '0' THEN 0::smallint
                WHEN left(md5(sku), 1) IN ('1', '2', '3') THEN 1::smallint END
$$;

CREATE FUNCTION sample_added() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO search_sample (tier, sku, shown, doc)
    SELECT sample_tier(sku), sku, shown, doc FROM added WHERE active AND sample_tier(sku) IS NOT NULL
    ON CONFLICT (tier, sku) DO UPDATE SET shown = excluded.shown, doc = excluded.doc;
    RETURN NULL;
END $$;

CREATE FUNCTION sample_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM search_sample USING after
    WHERE NOT after.active AND search_sample.tier = sample_tier(after.sku) AND search_sample.sku = after.sku;
    INSERT INTO search_sample (tier, sku, shown, doc)
    SELECT sample_tier(sku), sku, shown, doc FROM after WHERE active AND sample_tier(sku) IS NOT NULL
    ON CONFLICT (tier, sku) DO UPDATE SET shown = excluded.shown, doc = excluded.doc
    WHERE (search_sample.shown, search_sample.doc) IS DISTINCT FROM (excluded.shown, excluded.doc);
    RETURN NULL;
END $$;

CREATE FUNCTION sample_removed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM search_sample USING removed
    WHERE search_sample.tier = sample_tier(removed.sku) AND search_sample.sku = removed.sku;
    RETURN NULL;
END $$;

CREATE TRIGGER sample_added AFTER INSERT ON search_docs
    REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION sample_added();
CREATE TRIGGER sample_changed AFTER UPDATE ON search_docs
    REFERENCING NEW TABLE AS after FOR EACH STATEMENT EXECUTE FUNCTION sample_changed();
CREATE TRIGGER sample_removed AFTER DELETE ON search_docs
    REFERENCING OLD TABLE AS removed FOR EACH STATEMENT EXECUTE FUNCTION sample_removed();

INSERT INTO search_sample (tier, sku, shown, doc)
SELECT sample_tier(sku), sku, shown, doc FROM search_docs WHERE active AND sample_tier(sku) IS NOT NULL;

-- As of all; all words in the smaller tier only.
CREATE INDEX search_sample_0_by_name ON search_sample_0 USING gin (ts_filter(doc, '{a,b}'))
    WITH (gin_pending_list_limit = 64);
CREATE INDEX search_sample_1_by_name ON search_sample_1 USING gin (ts_filter(doc, '{a,b}'))
    WITH (gin_pending_list_limit = 64);
CREATE INDEX search_sample_0_by_word ON search_sample_0 USING gin (doc) WITH (gin_pending_list_limit = 64);

-- Lists are read by their index alone where their pages are known to be seen by all: they are to be known soon.
ALTER TABLE listed SET (autovacuum_vacuum_insert_scale_factor = 0.05);
ALTER TABLE products SET (autovacuum_vacuum_insert_scale_factor = 0.05);
