"""What a user holds: valid events by type, and the account of all that was read."""
