-- Product images: what was announced, what became of it, what was made of it.

CREATE TABLE images (
    id           uuid PRIMARY KEY,
    sku          text COLLATE "C" NOT NULL REFERENCES products (sku),
    -- Removed ones are shown to nobody.
    state        text NOT NULL CHECK (state IN ('pending', 'processing', 'ready', 'refused', 'removed')),
    -- As announced, and signed into the upload.
    content_type text NOT NULL,
    bytes        bigint NOT NULL CHECK (bytes > 0),
    alt          text,
    -- Of the picture that was uploaded, turned upright.
    width        integer,
    height       integer,
    -- [{"content_type": "image/webp", "width": 320, "height": 240, "bytes": 9000, "key": "images/…/320-….webp"}], by
    -- type and width.
    renditions   jsonb NOT NULL DEFAULT '[]',
    refusal_code text,
    refusal      text,
    -- When the work is to be announced to the queue (again).
    announce_at  timestamptz NOT NULL DEFAULT now(),
    created_by   text NOT NULL,
    created_at   timestamptz NOT NULL DEFAULT now(),
    settled_at   timestamptz,
    -- Nobody's name if the sweep gave it up.
    removed_by   text,
    removed_at   timestamptz,
    -- When its objects were gone.
    cleared_at   timestamptz
);

CREATE INDEX images_of_products ON images (sku, created_at, id) WHERE state <> 'removed';
CREATE INDEX images_to_announce ON images (announce_at) WHERE state = 'processing';
CREATE INDEX images_to_give_up ON images (created_at) WHERE state IN ('pending', 'refused');
CREATE INDEX images_to_clear ON images (created_at) WHERE state = 'removed' AND cleared_at IS NULL;
