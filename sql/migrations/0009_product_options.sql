-- What tells the variants of a product apart, their own pictures, and products as they are shown.

-- Options are [name, value] pairs, because jsonb does not keep the order of an object's keys.
ALTER TABLE variants
    ADD COLUMN options jsonb NOT NULL DEFAULT '[]'
        CONSTRAINT variant_options_list CHECK (jsonb_typeof(options) = 'array'),
    ADD COLUMN images jsonb NOT NULL DEFAULT '[]'
        CONSTRAINT variant_images_list CHECK (jsonb_typeof(images) = 'array');

-- A feed may swap the SKUs of two variants in one statement, so they are compared when it ends.
ALTER TABLE variants
    DROP CONSTRAINT variant_sku_once,
    ADD CONSTRAINT variant_sku_once UNIQUE (product_id, sku) DEFERRABLE INITIALLY IMMEDIATE;

CREATE VIEW products_shown AS
SELECT p.id, p.merchant_id, p.title, p.description, p.images, p.created_at, v.variants
FROM products p
CROSS JOIN LATERAL (
    SELECT coalesce(jsonb_agg(jsonb_build_object(
        'id', id, 'sku', sku, 'title', title, 'options', options, 'images', images, 'attributes', attributes,
        'list_price_minor', list_price_minor, 'currency', currency
    ) ORDER BY position, id), '[]') AS variants
    FROM variants WHERE product_id = p.id
) AS v;
