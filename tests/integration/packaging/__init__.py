"""What ships beside the program."""
