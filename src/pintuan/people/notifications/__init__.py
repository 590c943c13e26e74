"""Messages to people by e-mail and text: written together with their cause, delivered by workers."""
