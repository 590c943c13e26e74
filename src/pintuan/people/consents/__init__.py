"""Who wants no messages of a kind any more."""
