"""The front door for people: REST."""
