"""The contract for readers: the OpenAPI document, pages that show it, and the list of problem codes."""
