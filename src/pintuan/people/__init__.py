"""Merchants, shoppers, and how they are reached."""
