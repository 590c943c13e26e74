"""What an operator and a load balancer ask: alive, ready, and the numbers."""
