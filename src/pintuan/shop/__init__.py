"""Merchants' offers: products, feeds and deals."""
