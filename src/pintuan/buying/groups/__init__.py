"""Groups as shoppers see them: by id, by share code, and those of a deal one can join."""
