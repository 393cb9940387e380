"""Real network rules in namespaces of the tests' own."""
