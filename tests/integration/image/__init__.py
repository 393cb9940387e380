"""Images, roots, homes and session scripts on a real kernel."""
