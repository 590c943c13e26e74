"""The archive: orders that are over, kept where the tables of running sales do not grow by them."""
