"""Products and their variants, and the feeds that merchants bring them in."""
