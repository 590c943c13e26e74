"""The books as merchants see them: their balance, and statements of how it came about."""
