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
