"""Text for people about a connection that could not be made.

asyncio says "Connect call failed", with the address, whatever the reason was.
"""

import os


def connect_error_text(error: OSError) -> str:
    """Return the operating system's error text, or that no address of the name answers."""
    if error.errno is not None and error.errno > 0:
        return os.strerror(error.errno)
    return error.strerror or "none of its addresses answers"
