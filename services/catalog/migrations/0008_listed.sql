-- Lists of the products with one label, in the order in which they are shown: a page of them is a few steps of this index,
-- however many have the label and however late the page. Kept by triggers, so that a release before this one keeps it, too.
CREATE TABLE listed (
    label text COLLATE "C",
    name  text COLLATE "C",
    sku   text COLLATE "C",
    PRIMARY KEY (label, name, sku)
);

-- Attributes and options only: ranges of prices are found by other ways.
CREATE FUNCTION labels_listed(product products) RETURNS TABLE (label text) LANGUAGE sql IMMUTABLE AS $$
    SELECT label FROM unnest(product.facets) AS label
    WHERE product.variant_of IS NULL AND product.status = 'active' AND label NOT LIKE '$%'
$$;

CREATE FUNCTION list_added() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO listed SELECT label, name, sku FROM added, labels_listed(added) ON CONFLICT DO NOTHING;
    RETURN NULL;
END $$;

CREATE FUNCTION list_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    WITH gone AS (
        SELECT label, name, sku FROM before, labels_listed(before)
        EXCEPT SELECT label, name, sku FROM after, labels_listed(after)
    )
    DELETE FROM listed USING gone
    WHERE (listed.label, listed.name, listed.sku) = (gone.label, gone.name, gone.sku);
    INSERT INTO listed
    SELECT label, name, sku FROM after, labels_listed(after)
    EXCEPT SELECT label, name, sku FROM before, labels_listed(before)
    ON CONFLICT DO NOTHING;
    RETURN NULL;
END $$;

CREATE FUNCTION list_removed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM listed USING removed
    WHERE listed.label = ANY(removed.facets) AND (listed.name, listed.sku) = (removed.name, removed.sku);
    RETURN NULL;
END $$;

CREATE TRIGGER list_added AFTER INSERT ON products
    REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION list_added();
CREATE TRIGGER list_changed AFTER UPDATE ON products
    REFERENCING OLD TABLE AS before NEW TABLE AS after FOR EACH STATEMENT EXECUTE FUNCTION list_changed();
CREATE TRIGGER list_removed AFTER DELETE ON products
    REFERENCING OLD TABLE AS removed FOR EACH STATEMENT EXECUTE FUNCTION list_removed();

INSERT INTO listed SELECT label, name, sku FROM products, labels_listed(products);

-- What waits to be sorted into these indexes is read by every search: little of it may wait. In kB.
ALTER INDEX products_listed_by_facets SET (gin_pending_list_limit = 64);
ALTER INDEX search_docs_by_word SET (gin_pending_list_limit = 64);
