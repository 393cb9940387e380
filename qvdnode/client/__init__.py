"""The program that shows a desktop on a user's display."""
