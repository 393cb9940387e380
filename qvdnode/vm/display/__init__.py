"""What the shell does with a guest's display: its log, its session script, its signals."""
