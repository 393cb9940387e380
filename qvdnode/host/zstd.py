"""Packs and unpacks with zstd, also as a patch on other content, as `zstd --patch-from` does.

Calls the system's own library (libzstd.so.1). Everything blocks; the GIL is released meanwhile.
A `Packer` or an `Unpacker` is for one thread at a time.
"""

import ctypes
from collections.abc import Iterator
from typing import Final

from qvdnode.model.errors import BadImage, HostFailed

LIBRARY: Final = "libzstd.so.1"
STEP: Final = 1 << 20
PATCH_MAX: Final = 128 << 20
"""Content and base of a patch are in memory as a whole: larger ones are packed without a base."""
_LEVEL, _WINDOW_LOG, _LONG_DISTANCE = 100, 101, 160
_WINDOW_LOG_MAX: Final = 100
_WINDOW_LOG_LEAST: Final = 10
PLAIN_WINDOW_LOG: Final = 27
"""Largest window of content without a base: 128 MiB of memory to unpack it."""
_RESET_ALL: Final = 3
_CONTINUE, _END = 0, 2
_LONG_FROM: Final = 4 << 20
"""Content of that size is looked through for matches far away."""


class _Buffer(ctypes.Structure):
    """ZSTD_inBuffer and ZSTD_outBuffer."""

    _fields_ = (  # type: ignore[mutable-override]  # nothing changes it
        ("data", ctypes.c_void_p),
        ("size", ctypes.c_size_t),
        ("at", ctypes.c_size_t),
    )


def _load() -> ctypes.CDLL:
    library = ctypes.CDLL(LIBRARY)
    for name in ("ZSTD_createCCtx", "ZSTD_createDCtx"):
        getattr(library, name).restype = ctypes.c_void_p
    size, pointer, whole = ctypes.c_size_t, ctypes.c_void_p, ctypes.c_int
    buffer = ctypes.POINTER(_Buffer)
    for name, arguments in {
        "ZSTD_freeCCtx": [pointer],
        "ZSTD_freeDCtx": [pointer],
        "ZSTD_CCtx_reset": [pointer, whole],
        "ZSTD_DCtx_reset": [pointer, whole],
        "ZSTD_CCtx_setParameter": [pointer, whole, whole],
        "ZSTD_DCtx_setParameter": [pointer, whole, whole],
        "ZSTD_CCtx_setPledgedSrcSize": [pointer, ctypes.c_ulonglong],
        "ZSTD_CCtx_refPrefix": [pointer, pointer, size],
        "ZSTD_DCtx_refPrefix": [pointer, pointer, size],
        "ZSTD_compressStream2": [pointer, buffer, buffer, whole],
        "ZSTD_decompressStream": [pointer, buffer, buffer],
        "ZSTD_compressBound": [size],
    }.items():
        function = getattr(library, name)
        function.restype, function.argtypes = size, arguments
    library.ZSTD_isError.argtypes = [size]
    library.ZSTD_getErrorName.argtypes = [size]
    library.ZSTD_getErrorName.restype = ctypes.c_char_p
    return library


class _Library:
    """The library, loaded when it is first needed."""

    loaded: ctypes.CDLL | None = None

    @classmethod
    def get(cls) -> ctypes.CDLL:
        """Raises HostFailed when it is missing."""
        if cls.loaded is None:
            try:
                cls.loaded = _load()
            except OSError as error:
                raise HostFailed(
                    f"{LIBRARY} is missing, which packs images: install the package libzstd1"
                ) from error
        return cls.loaded


def window_log(*sizes: int) -> int:
    """The logarithm of the least window in which so many bytes are all within reach."""
    return max(_WINDOW_LOG_LEAST, sum(sizes).bit_length())


class Packer:
    """Packs one content after another."""

    def __init__(self, level: int) -> None:
        """Raises HostFailed."""
        self._library = _Library.get()
        self._context = ctypes.c_void_p(self._library.ZSTD_createCCtx())
        self._level = level
        self._memory = ctypes.create_string_buffer(0)

    def __del__(self) -> None:
        self._library.ZSTD_freeCCtx(self._context)

    def packed(self, content: bytes, base: bytes = b"") -> bytes:
        """The content as one frame; with a base, as a patch on it (see PATCH_MAX)."""
        self._begin(len(content), len(base))
        if base:
            self._call("ZSTD_CCtx_refPrefix", _address(base), len(base))
        room = self._library.ZSTD_compressBound(len(content))
        if len(self._memory) < room:
            self._memory = ctypes.create_string_buffer(room)
        taken = _Buffer(ctypes.cast(_address(content), ctypes.c_void_p), len(content), 0)
        made = _Buffer(ctypes.cast(self._memory, ctypes.c_void_p), room, 0)
        while self._call("ZSTD_compressStream2", made, taken, _END):
            pass
        return ctypes.string_at(self._memory, made.at)

    def pieces(self, size: int, chunks: Iterator[bytes]) -> Iterator[bytes]:
        """The frame of content that comes in pieces of `size` bytes in all."""
        self._begin(size, 0)
        made = ctypes.create_string_buffer(STEP)
        for chunk in chunks:
            yield from self._step(chunk, made, _CONTINUE)
        yield from self._step(b"", made, _END)

    def _step(self, chunk: bytes, made: "ctypes.Array[ctypes.c_char]", end: int) -> Iterator[bytes]:
        taken = _Buffer(ctypes.cast(_address(chunk), ctypes.c_void_p), len(chunk), 0)
        while True:
            room = _Buffer(ctypes.cast(made, ctypes.c_void_p), STEP, 0)
            left = self._call("ZSTD_compressStream2", room, taken, end)
            if room.at:
                yield ctypes.string_at(made, room.at)
            if taken.at == taken.size and not (end == _END and left):
                return

    def _begin(self, size: int, base: int) -> None:
        self._call("ZSTD_CCtx_reset", _RESET_ALL)
        self._call("ZSTD_CCtx_setParameter", _LEVEL, self._level)
        if base:
            self._call("ZSTD_CCtx_setParameter", _WINDOW_LOG, window_log(size, base))
        elif size > _LONG_FROM:
            self._call("ZSTD_CCtx_setParameter", _WINDOW_LOG, PLAIN_WINDOW_LOG)
        self._call("ZSTD_CCtx_setParameter", _LONG_DISTANCE, int(size + base > _LONG_FROM))
        self._call("ZSTD_CCtx_setPledgedSrcSize", size)

    def _call(self, name: str, *arguments: object) -> int:
        passed = [ctypes.byref(one) if isinstance(one, _Buffer) else one for one in arguments]
        return _checked(self._library, getattr(self._library, name)(self._context, *passed))


class Unpacker:
    """Unpacks one frame that comes in pieces."""

    def __init__(self, size: int, base: bytes = b"") -> None:
        """`size` is how long the content may be at most, `base` what it is a patch on.

        Raises HostFailed.
        """
        self._library = _Library.get()
        self._context = ctypes.c_void_p(self._library.ZSTD_createDCtx())
        self._base = base
        self._left = size
        self._made = ctypes.create_string_buffer(min(STEP, size + 1))
        self.done = False
        """Whether the frame is whole."""
        reach = window_log(size, len(base)) if base else PLAIN_WINDOW_LOG
        self._call("ZSTD_DCtx_setParameter", _WINDOW_LOG_MAX, reach)
        if base:
            self._call("ZSTD_DCtx_refPrefix", _address(base), len(base))

    def __del__(self) -> None:
        self._library.ZSTD_freeDCtx(self._context)

    def feed(self, data: bytes) -> Iterator[bytes]:
        """The content of these bytes; raises BadImage for what is no frame, or too long."""
        taken = _Buffer(ctypes.cast(_address(data), ctypes.c_void_p), len(data), 0)
        while not self.done:
            room = _Buffer(ctypes.cast(self._made, ctypes.c_void_p), len(self._made), 0)
            self.done = self._call("ZSTD_decompressStream", room, taken) == 0
            self._left -= room.at
            if self._left < 0:
                raise BadImage("packed content is longer than its manifest says")
            if room.at:
                yield ctypes.string_at(self._made, room.at)
            if taken.at == taken.size and room.at < room.size:
                break
        if taken.at < taken.size:
            raise BadImage("something follows packed content")

    def _call(self, name: str, *arguments: object) -> int:
        passed = [ctypes.byref(one) if isinstance(one, _Buffer) else one for one in arguments]
        return _checked(self._library, getattr(self._library, name)(self._context, *passed))


def _checked(library: ctypes.CDLL, answer: int) -> int:
    if library.ZSTD_isError(answer):
        said = library.ZSTD_getErrorName(answer).decode()
        raise BadImage(f"packed content is not valid: {said}")
    return answer


def _address(content: bytes) -> ctypes.c_char_p:
    return ctypes.c_char_p(content)


def unpacked(data: bytes, size: int, base: bytes = b"") -> bytes:
    """The content of one whole frame of at most `size` bytes; raises BadImage."""
    unpacker = Unpacker(size, base)
    content = b"".join(unpacker.feed(data))
    if not unpacker.done:
        raise BadImage("packed content is cut off")
    return content
