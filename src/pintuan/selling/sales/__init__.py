"""Merchants' view of their sales.

The nouns `orders` and `groups` are a shopper's view. Here both are seen from the other side, with what
fulfilment needs and without who the buyers are, and no code of the two views can be taken for the other's.
"""
