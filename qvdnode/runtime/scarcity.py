"""Error codes of the kernel for a temporary lack of resources."""

import errno
from typing import Final

EXHAUSTED: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
"""No file descriptors, open files, socket buffers or memory. The request itself is valid and may
succeed later."""
