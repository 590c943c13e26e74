"""Messages to people by e-mail and text: written with what they announce, delivered by workers."""
