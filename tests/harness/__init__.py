"""Whole programs under test or under load: nodes, X servers, clients. For tests and benches."""
