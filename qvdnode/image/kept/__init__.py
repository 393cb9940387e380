"""Changes of desktops that are kept between starts, and move with the versions of their image."""
