"""The ground of all nouns; it knows none of them."""
