"""What is installed on a host."""
