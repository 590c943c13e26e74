"""Receipts: what an order cost, with everything one needs to work it out by hand."""
