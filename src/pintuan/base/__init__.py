"""What every noun stands on and that knows none."""
