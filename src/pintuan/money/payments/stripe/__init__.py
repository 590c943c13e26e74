"""Stripe as a gateway: its calls, its errors, its rules for amounts."""
