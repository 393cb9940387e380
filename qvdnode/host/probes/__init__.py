"""Facts about this host for `qvdnode doctor`: looked at, tried and put back, not judged."""
