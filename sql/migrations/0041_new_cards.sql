-- New cards: how many seats of a group may be paid by cards that never paid its merchant. A term of a deal; null for any
-- number. Whoever has many cards pulls the price for others down by so many heads, and by no more.

ALTER TABLE deals ADD COLUMN new_cards_per_group integer
    CONSTRAINT deal_new_cards_range CHECK (new_cards_per_group BETWEEN 0 AND 100000);

CREATE OR REPLACE VIEW deals_shown AS
SELECT
    d.id, d.merchant_id, d.product_id, d.variant_id, d.title,
    deal_status_at(d.status, d.starts_at, d.ends_at, app_now()) AS status,
    d.currency, d.list_price_minor, d.tier_headcounts, d.tier_prices_minor, d.min_headcount, d.max_headcount,
    d.group_ttl_ms, d.starts_at, d.ends_at, d.stock_units,
    (SELECT sum(l.sold_units) FROM lanes l WHERE l.deal_id = d.id)::bigint AS sold_units,
    d.per_buyer_units, d.lane_count, d.created_at, d.lowest_price_minor,
    unit_price_at(d.tier_headcounts, d.tier_prices_minor, d.min_headcount, 1) AS starting_price_minor,
    p.title AS product_title, p.images AS product_images, v.sku AS variant_sku, v.title AS variant_title,
    v.options AS variant_options, v.images AS variant_images, d.nudges, d.new_cards_per_group
FROM deals d JOIN products p ON p.id = d.product_id JOIN variants v ON v.id = d.variant_id;

-- Whether a seat's card had paid the merchant nothing when the seat was authorised; noted where the deal limits such seats.
ALTER TABLE orders
    ADD COLUMN new_card boolean NOT NULL DEFAULT false,
    DROP CONSTRAINT order_decline_reason,
    ADD CONSTRAINT order_decline_reason CHECK (
        decline_reason IS NULL OR (
            status = 'declined'
            AND decline_reason IN ('card_in_group', 'card_failed_before', 'card_limit', 'new_card_limit')
        )
    );
ALTER TABLE archived_orders
    ADD COLUMN new_card boolean NOT NULL DEFAULT false,
    DROP CONSTRAINT order_decline_reason,
    ADD CONSTRAINT order_decline_reason CHECK (
        decline_reason IS NULL OR (
            status = 'declined'
            AND decline_reason IN ('card_in_group', 'card_failed_before', 'card_limit', 'new_card_limit')
        )
    );
CREATE OR REPLACE VIEW every_order AS SELECT * FROM orders UNION ALL SELECT * FROM archived_orders;

-- Counted where the next such seat is authorised; orders of other deals are in no part of it.
CREATE INDEX orders_of_new_cards ON orders (group_id)
    WHERE new_card AND status NOT IN ('declined', 'expired', 'cancelled', 'released', 'payment_failed');

-- What cards paid and was not given back, wherever the order is kept; an erasure takes the card out.
CREATE INDEX orders_paid_by_card ON orders (card_digest)
    WHERE card_digest IS NOT NULL AND status IN ('captured', 'partially_refunded');
CREATE INDEX archived_orders_paid_by_card ON archived_orders (card_digest)
    WHERE card_digest IS NOT NULL AND status IN ('captured', 'partially_refunded');
