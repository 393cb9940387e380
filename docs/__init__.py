"""Pages for people, and the generator of those that are drawn from the code."""
