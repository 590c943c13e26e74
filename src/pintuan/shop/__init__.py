"""Goods and offers."""
