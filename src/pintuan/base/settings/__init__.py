"""The operator's settings: the variables, how each is read, and which do not go together."""
