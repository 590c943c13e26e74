"""People who no longer want messages of a kind."""
