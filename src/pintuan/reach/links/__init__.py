"""What the code of a shared link leads to."""
