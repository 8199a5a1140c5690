-- Names of what is in no sample, in three indexes instead of one: a search that the sample does not fill reads them one
-- after the other, until it is full. Together they are no larger, and no more work to keep.
CREATE INDEX search_docs_by_name_4 ON search_docs USING gin (ts_filter(doc, '{a,b}'))
    WITH (gin_pending_list_limit = 64) WHERE left(md5(sku), 1) IN ('4', '5', '6', '7');
CREATE INDEX search_docs_by_name_8 ON search_docs USING gin (ts_filter(doc, '{a,b}'))
    WITH (gin_pending_list_limit = 64) WHERE left(md5(sku), 1) IN ('8', '9', 'a', 'b');
CREATE INDEX search_docs_by_name_c ON search_docs USING gin (ts_filter(doc, '{a,b}'))
    WITH (gin_pending_list_limit = 64) WHERE left(md5(sku), 1) IN ('c', 'd', 'e', 'f');
-- contracts: 0009 made it, and no release came between
DROP INDEX search_docs_by_name;

-- What is not for sale, for those who change it: lists of all are lists of what is for sale and of these.
CREATE INDEX products_others ON products (name, sku) WHERE variant_of IS NULL AND status <> 'active';
CREATE INDEX products_others_by_category ON products (category, name, sku) WHERE variant_of IS NULL AND status <> 'active';
CREATE INDEX products_others_by_labels ON products USING gin (facets, (ARRAY[category]))
    WITH (gin_pending_list_limit = 64) WHERE variant_of IS NULL AND status <> 'active';
-- contracts: only lists of those who change products read these two, and none was released
DROP INDEX products_by_name, products_by_category;
