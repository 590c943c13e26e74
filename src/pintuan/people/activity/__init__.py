"""The changes made by merchants, admins and operators, in a log that nobody changes."""
