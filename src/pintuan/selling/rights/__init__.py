"""A person's means to sell, and how they end with the right to."""
