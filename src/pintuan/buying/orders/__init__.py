"""Orders: placing them, reading them, cancelling them."""
