"""A TLS client that does what Python's cannot: OpenSSL itself, by ctypes, over a plain socket."""

import ctypes
import socket
from ctypes.util import find_library
from types import TracebackType
from typing import Final, Self

_ssl: Final = ctypes.CDLL(find_library("ssl"))
_crypto: Final = ctypes.CDLL(find_library("crypto"))
_PIECE: Final = 65_536
_UPDATE_REQUESTED: Final = 1
"""SSL_KEY_UPDATE_REQUESTED: the server is to change its keys, too, and to say so."""
_SET_NAME: Final = 55
"""SSL_CTRL_SET_TLSEXT_HOSTNAME."""

for library, name, result, arguments in (
    (_ssl, "TLS_client_method", ctypes.c_void_p, ()),
    (_ssl, "SSL_CTX_new", ctypes.c_void_p, (ctypes.c_void_p,)),
    (_ssl, "SSL_CTX_free", None, (ctypes.c_void_p,)),
    (_ssl, "SSL_new", ctypes.c_void_p, (ctypes.c_void_p,)),
    (_ssl, "SSL_free", None, (ctypes.c_void_p,)),
    (_ssl, "SSL_set_bio", None, (ctypes.c_void_p,) * 3),
    (_ssl, "SSL_set_connect_state", None, (ctypes.c_void_p,)),
    (_ssl, "SSL_do_handshake", ctypes.c_int, (ctypes.c_void_p,)),
    (_ssl, "SSL_key_update", ctypes.c_int, (ctypes.c_void_p, ctypes.c_int)),
    (_ssl, "SSL_ctrl", ctypes.c_long,
     (ctypes.c_void_p, ctypes.c_int, ctypes.c_long, ctypes.c_char_p)),
    (_crypto, "BIO_s_mem", ctypes.c_void_p, ()),
    (_crypto, "BIO_new", ctypes.c_void_p, (ctypes.c_void_p,)),
    (_crypto, "BIO_read", ctypes.c_int, (ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int)),
    (_crypto, "BIO_write", ctypes.c_int, (ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int)),
):  # fmt: skip
    function = getattr(library, name)
    function.restype, function.argtypes = result, arguments


class TlsAttacker:
    """One connection; blocks."""

    def __init__(self, port: int, name: bytes = b"node") -> None:
        """Dial the port, and name the server so in the hello, whatever the bytes are."""
        self._plain = socket.socket()
        self._plain.settimeout(10)
        # Soon full, so that what this client does not read waits in the server.
        self._plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _PIECE)
        self._plain.connect(("127.0.0.1", port))
        self._context = _ssl.SSL_CTX_new(_ssl.TLS_client_method())
        self._tls = _ssl.SSL_new(self._context)
        self._in, self._out = (_crypto.BIO_new(_crypto.BIO_s_mem()) for _ in range(2))
        _ssl.SSL_set_bio(self._tls, self._in, self._out)
        _ssl.SSL_set_connect_state(self._tls)
        _ssl.SSL_ctrl(self._tls, _SET_NAME, 0, name)

    def __enter__(self) -> Self:
        """Dialled already."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Hang up."""
        self._plain.close()
        _ssl.SSL_free(self._tls)
        _ssl.SSL_CTX_free(self._context)

    def shake_hands(self) -> bool:
        """Whether the server goes through with the handshake."""
        while _ssl.SSL_do_handshake(self._tls) != 1:
            self._plain.sendall(self._ready())
            received = self._plain.recv(_PIECE)
            if not received:
                return False
            _crypto.BIO_write(self._in, received, len(received))
        self._plain.sendall(self._ready())
        return True

    def update_keys(self, times: int) -> bytes:
        """The records that ask the server so often to change its keys, to be sent by `send`."""
        for _ in range(times):
            if _ssl.SSL_key_update(self._tls, _UPDATE_REQUESTED) != 1:
                raise AssertionError("OpenSSL makes no update of keys")
            _ssl.SSL_do_handshake(self._tls)
        return self._ready()

    def send(self, records: bytes) -> None:
        """Send, and read nothing; raises OSError once the server has hung up."""
        self._plain.sendall(records)

    def _ready(self) -> bytes:
        pieces = []
        buffer = ctypes.create_string_buffer(_PIECE)
        while (count := _crypto.BIO_read(self._out, buffer, _PIECE)) > 0:
            pieces.append(buffer.raw[:count])
        return b"".join(pieces)
