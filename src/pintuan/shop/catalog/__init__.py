"""Products and their variants: what merchants sell, and the feeds they bring it in."""
