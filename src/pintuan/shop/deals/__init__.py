"""Deals: offers on one variant whose price falls as groups grow."""
