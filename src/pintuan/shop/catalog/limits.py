"""How large the parts of a product may be; the API and the feed import hold to the same sizes."""

from __future__ import annotations

TITLE_CHARS_MAX = 200
DESCRIPTION_CHARS_MAX = 10_000
IMAGES_MAX = 250
"""As many as Shopify lets a product have."""
VARIANT_IMAGES_MAX = 50
LISTED_IMAGES = 3
"""The pictures shown of a product or a variant in a list; the statements that list them say so, too."""
IMAGE_URL_CHARS_MAX = 2_000
VARIANTS_MAX = 2_048
"""As many as Shopify lets a product have; `PRODUCT_BYTES_MAX` bounds them as well."""
REQUEST_VARIANTS_MAX = 100
"""A request makes or changes so many; more come with further requests, or with a feed."""
SKU_CHARS_MAX = 100
FEED_REF_CHARS_MAX = 255
OPTIONS_MAX = 4
OPTION_NAME_CHARS_MAX = 100
OPTION_VALUE_CHARS_MAX = 200
ATTRIBUTES_MAX = 30
ATTRIBUTE_NAME_CHARS_MAX = 60
ATTRIBUTE_VALUE_CHARS_MAX = 2_000
PRODUCT_BYTES_MAX = 256 * 1024
"""With its variants: 128 bytes for each of the most, 2.5 kB for each of a hundred.

Products of real shops' feeds have two thousand in all.
"""
