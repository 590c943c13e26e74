"""The group-buying marketplace application."""
