"""Pure parts of the web pages."""
