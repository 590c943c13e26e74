-- What deals offered, and since when: an order is for what its deal offered when it was placed.
-- uses: clock, deals, offers

CREATE TABLE offers (
    deal_id text NOT NULL REFERENCES deals ON DELETE CASCADE,
    -- -infinity for what a deal offered first, so that something holds at any time.
    valid_from timestamptz NOT NULL,
    title text NOT NULL,
    product_title text NOT NULL,
    variant_title text NOT NULL,
    sku text NOT NULL,
    options jsonb NOT NULL,
    brand text,
    gtin text,
    description_digest bytea NOT NULL CONSTRAINT offer_description_digest CHECK (octet_length(description_digest) = 32),
    images_digest bytea NOT NULL CONSTRAINT offer_images_digest CHECK (octet_length(images_digest) = 32),
    PRIMARY KEY (deal_id, valid_from)
);

-- Versions that were replaced and not looked at since: those that nobody ordered under are taken away.
CREATE TABLE replaced_offers (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    deal_id text NOT NULL,
    valid_from timestamptz NOT NULL,
    replaced_at timestamptz NOT NULL
);
CREATE INDEX replaced_offers_due ON replaced_offers (replaced_at);

CREATE TRIGGER offers_stay BEFORE UPDATE OR TRUNCATE ON offers
FOR EACH STATEMENT EXECUTE FUNCTION refuse_change_of_offers();
CREATE TRIGGER offer_goes_with_its_deal BEFORE DELETE ON offers
FOR EACH ROW EXECUTE FUNCTION refuse_change_of_offers();

CREATE CONSTRAINT TRIGGER deal_made AFTER INSERT ON deals
DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION keep_offers();
CREATE CONSTRAINT TRIGGER deal_retitled AFTER UPDATE OF title ON deals
DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
WHEN (OLD.title <> NEW.title) EXECUTE FUNCTION keep_offers();
CREATE CONSTRAINT TRIGGER product_retold AFTER UPDATE OF title, description, images ON products
DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
WHEN ((OLD.title, OLD.description, OLD.images) IS DISTINCT FROM (NEW.title, NEW.description, NEW.images))
EXECUTE FUNCTION keep_offers();
CREATE CONSTRAINT TRIGGER variant_retold AFTER UPDATE OF title, sku, options, images, attributes ON variants
DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
WHEN (
    (OLD.title, OLD.sku, OLD.options, OLD.images, OLD.attributes)
    IS DISTINCT FROM (NEW.title, NEW.sku, NEW.options, NEW.images, NEW.attributes)
)
EXECUTE FUNCTION keep_offers();

-- Deals of before are taken to have offered all along what they offer now.
INSERT INTO offers (
    deal_id, valid_from, title, product_title, variant_title, sku, options, brand, gtin, description_digest,
    images_digest
)
SELECT
    deal_id, '-infinity', title, product_title, variant_title, sku, options, brand, gtin, description_digest,
    images_digest
FROM offered_now(ARRAY(SELECT id FROM deals));
