"""The command lines: `qvd` for users and administrators, `qvdnode` for operators of a host."""
