"""The shell around one VM's core: its mailbox, its tasks, and what they make on the host."""
