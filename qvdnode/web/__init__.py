"""The web pages: their files, and the rules by which browsers load and use them."""
