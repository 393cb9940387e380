"""Commands for users, admins and operators."""
