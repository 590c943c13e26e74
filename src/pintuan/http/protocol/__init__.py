"""HTTP/1.1 as an API process speaks it: one reading of a connection, and placing calls early or at once."""
