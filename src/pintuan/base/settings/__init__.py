"""What operators set: the variables, how each is read, and which do not go together."""
