"""Fuzzing of everything that decodes bytes from outside: `make fuzz`, and longer in `make soak`."""
