"""The questions of an operator and a load balancer: alive, ready, and the numbers."""
