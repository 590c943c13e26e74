"""A process' reports about itself: logs, metrics, traces."""
