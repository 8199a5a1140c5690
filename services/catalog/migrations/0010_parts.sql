-- Names of what is in no sample, in three indexes: a search that the sample does not fill reads them one after the other,
-- until it is full. The release before reads search_docs_by_name, which has all of them, so that one stays until a later
-- migration.
CREATE INDEX search_docs_by_name_4 ON search_docs USING gin (ts_filter(doc, '{a,b}'))
    WITH (gin_pending_list_limit = 64) WHERE left(md5(sku), 1) IN ('4', '5', '6', '7');
CREATE INDEX search_docs_by_name_8 ON search_docs USING gin (ts_filter(doc, '{a,b}'))
    WITH (gin_pending_list_limit = 64) WHERE left(md5(sku), 1) IN ('8', '9', 'a', 'b');
CREATE INDEX search_docs_by_name_c ON search_docs USING gin (ts_filter(doc, '{a,b}'))
    WITH (gin_pending_list_limit = 64) WHERE left(md5(sku), 1) IN ('c', 'd', 'e', 'f');

-- What is not for sale, for those who change it: lists of all are lists of what is for sale and of these. So
-- products_by_name and products_by_category are read by the release before only, and stay likewise.
CREATE INDEX products_others ON products (name, sku) WHERE variant_of IS NULL AND status <> 'active';
CREATE INDEX products_others_by_category ON products (category, name, sku) WHERE variant_of IS NULL AND status <> 'active';
CREATE INDEX products_others_by_labels ON products USING gin (facets, (ARRAY[category]))
    WITH (gin_pending_list_limit = 64) WHERE variant_of IS NULL AND status <> 'active';
