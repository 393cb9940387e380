"""Errors of the kernel that say that the host, or this process, lacks something just now."""

import errno
from typing import Final

EXHAUSTED: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
"""Descriptors, open files of the host, buffers of sockets, memory: nothing is wrong with what was
asked for, and it may well be there in a moment."""
