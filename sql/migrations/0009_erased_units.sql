-- What a deal's limits go on counting when its buyer is erased, until the limits are forgotten with the deal.

-- Units of a deal that somebody who was erased has bought, by a card or by a contact of theirs. A holder is a digest of it
-- under the key of `card_keys`; no order, buyer or other deal can be found from here.
CREATE TABLE erased_units (
    deal_id text NOT NULL,
    holder bytea NOT NULL CONSTRAINT erased_holder_size CHECK (octet_length(holder) = 16),
    units integer NOT NULL CONSTRAINT erased_units_some CHECK (units > 0),
    PRIMARY KEY (deal_id, holder)
);

-- By what they would be known again whose orders still run; it goes with the row.
ALTER TABLE erasures ADD COLUMN holders bytea[] NOT NULL DEFAULT '{}';
CREATE INDEX erasures_by_holder ON erasures USING gin (holders);

ALTER TABLE orders
    DROP CONSTRAINT order_decline_reason,
    ADD CONSTRAINT order_decline_reason CHECK (
        decline_reason IS NULL OR (
            status = 'declined'
            AND decline_reason IN ('card_in_group', 'card_failed_before', 'card_limit', 'new_card_limit', 'buyer_limit')
        )
    );
ALTER TABLE archived_orders
    DROP CONSTRAINT order_decline_reason,
    ADD CONSTRAINT order_decline_reason CHECK (
        decline_reason IS NULL OR (
            status = 'declined'
            AND decline_reason IN ('card_in_group', 'card_failed_before', 'card_limit', 'new_card_limit', 'buyer_limit')
        )
    );
