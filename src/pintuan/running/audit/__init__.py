"""`pintuan audit`: every invariant over all data, Redis against Postgres included."""
