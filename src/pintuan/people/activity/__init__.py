"""What merchants, admins and operators did, in a log that nobody changes."""
