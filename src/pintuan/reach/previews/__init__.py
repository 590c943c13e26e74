"""What a shared link looks like before it is opened, to messengers, search engines and phones."""
