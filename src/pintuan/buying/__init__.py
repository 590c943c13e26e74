"""Groups, orders, and who watches them."""
