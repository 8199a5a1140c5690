-- Reservations whose order was never seen settled: looked for again and again, and reported.
ALTER TABLE reservations
    -- When orders said that it has the order and it stands: from then on the reservation is not asked about.
    ADD seen_at timestamptz,
    -- What is wrong, and since when it is known.
    ADD trouble text CHECK (trouble IN ('order_unknown', 'order_rejected', 'order_cancelled', 'order_completed')),
    ADD troubled_at timestamptz;

CREATE INDEX reservations_unseen ON reservations (created_at, order_id)
    WHERE state = 'held' AND seen_at IS NULL;
