"""Receipts: the price of an order, with everything needed to work it out by hand."""
