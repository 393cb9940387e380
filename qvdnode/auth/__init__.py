"""Authentication: passwords, tokens, throttling, and a cache of verified logins."""
