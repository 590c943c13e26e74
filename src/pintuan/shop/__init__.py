"""What merchants offer: products, feeds and deals."""
