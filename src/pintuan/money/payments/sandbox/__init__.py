"""The gateway that pretends to be a bank, with books of its own."""
