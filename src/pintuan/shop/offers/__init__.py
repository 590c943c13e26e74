"""Offers: the terms of a deal, kept for the orders that were placed under them."""
