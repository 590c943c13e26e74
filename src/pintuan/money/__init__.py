"""Payments, refunds, receipts and the books."""
