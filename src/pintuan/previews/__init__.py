"""What a shared link looks like before it is opened: what messengers, search engines and phones read of it."""
