"""The looks of a shared link before it is opened, for messengers, search engines and phones."""
