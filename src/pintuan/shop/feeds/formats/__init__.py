"""Product feeds, one module per format; each yields the same items and the same bad rows.

reading     finds the format in the content and reads the feed
google      rows and elements with the names of Google's and Meta's product specifications
shopify     Shopify's product CSV
rss         RSS 2.0 and Atom
tables      CSV and TSV: header and rows
quotes      lines of a table without the padding behind quoted cells
lines       the physical lines of a text feed
encodings   the encoding a feed is declared to be in
halt        when reading must end before the feed does
items       what a feed yields, and the rules its values keep in every format
prices      prices as shops write them
html_text   what is written in HTML, as plain text

FeedError       the feed as a whole cannot be read (encoding, header, size, broken document)
"""

from pintuan.shop.feeds.formats.encodings import UnknownEncoding, encoding_of
from pintuan.shop.feeds.formats.halt import Halt
from pintuan.shop.feeds.formats.items import BadRow, FeedItem, FeedRow, Note
from pintuan.shop.feeds.formats.lines import HEAD_BYTES, FeedError
from pintuan.shop.feeds.formats.reading import ROWS_MAX, read_feed

__all__ = [
    "HEAD_BYTES",
    "ROWS_MAX",
    "BadRow",
    "FeedError",
    "FeedItem",
    "FeedRow",
    "Halt",
    "Note",
    "UnknownEncoding",
    "encoding_of",
    "read_feed",
]
