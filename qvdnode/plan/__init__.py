"""Plans capacity: simulates a farm's logins in virtual time, with the code that places them."""
