"""`qvd`: administration of a farm over REST, and desktops for users."""
