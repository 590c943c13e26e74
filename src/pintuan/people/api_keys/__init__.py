"""Keys with which a merchant's own systems call the API in the merchant's name."""
