"""How large the parts of a product may be; the API and the feed import hold to the same sizes."""

from __future__ import annotations

TITLE_CHARS_MAX = 200
DESCRIPTION_CHARS_MAX = 10_000
IMAGES_MAX = 20
IMAGE_URL_CHARS_MAX = 2_000
VARIANTS_MAX = 100
SKU_CHARS_MAX = 100

IMAGE_URL_PATTERN = r"^(?![\s\S]*[\s\x00-\x20\x7f])https?://[^/?#]"
"""What an image's address must look like; it is never fetched by the server."""
