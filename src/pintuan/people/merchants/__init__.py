"""Merchants: who sells, and what a buyer is called when a merchant is told of one."""
