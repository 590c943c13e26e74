"""Data kept about a person: given to them as one document, and forgotten when they ask for it."""
