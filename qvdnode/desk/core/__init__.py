"""What desktops in the browser compute: command lines, control messages, tickets."""
