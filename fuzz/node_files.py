"""Files that an administrator gives to a node, or that a torn disk gives back to it."""

import base64
import contextlib
import hashlib
import io
import json
import tarfile
import tempfile
import zlib
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from fuzz.target import Target
from qvdnode.daemon.load import parse, tables
from qvdnode.db.backup_archive import FORMAT, MANIFEST, open_archive
from qvdnode.db.dsn import single_host_dsns
from qvdnode.db.postmaster import parse_pid_file
from qvdnode.image.core import home_snapshot
from qvdnode.model.errors import BadConfig, Invalid
from qvdnode.tls.certificate import key_pem, new_key, read_identity, self_signed
from qvdnode.tls.inspection import facts_of
from qvdnode.vm.core.guest_record import decode, encode

NOW: Final = datetime(2026, 1, 1, tzinfo=UTC)
PEM: Final = b"-----BEGIN %b-----\n%b-----END %b-----\n"


def configurations(data: bytes) -> None:
    """Any configuration is taken or refused by its key."""
    with contextlib.suppress(BadConfig):
        parse(tables(data))


def backups(data: bytes) -> None:
    """Any backup is read or refused, and its files stay in their folder."""
    with tempfile.NamedTemporaryFile(dir="/dev/shm") as file, contextlib.suppress(Invalid):
        file.write(data)
        file.flush()
        with open_archive(Path(file.name)) as archive:
            for name, _ in archive.files():
                if "/" in name or name in {"", ".", ".."}:
                    raise AssertionError(name)


def state_files(data: bytes) -> None:
    """A state file is read as it was written, or refused."""
    with contextlib.suppress(Invalid):
        record = decode(data)
        if decode(encode(record)) != record:
            raise AssertionError(record)


def home_snapshots(data: bytes) -> None:
    """A snapshot of a home is read as it was written, or refused; the seal is put on any text."""
    seal = hashlib.sha256(data).hexdigest().encode()
    with contextlib.suppress(Invalid):
        snapshot = home_snapshot.decode(zlib.compress(data + seal, 0))
        if home_snapshot.decode(home_snapshot.encode(snapshot)) != snapshot:
            raise AssertionError(snapshot)


def certificates(data: bytes) -> None:
    """A certificate and a key of any bytes are taken or refused."""
    first, _, second = data.partition(b"|")
    for certificate, key in (
        (first, second),
        (_pem(b"CERTIFICATE", first), _pem(b"PRIVATE KEY", second)),
    ):
        with contextlib.suppress(BadConfig):
            facts_of(read_identity(certificate, key, NOW))


def database_addresses(data: bytes) -> None:
    """Any address of a database is taken apart or refused."""
    with contextlib.suppress(Invalid, BadConfig):
        single_host_dsns(data.decode("utf-8", "replace"))


def pid_files(data: bytes) -> None:
    """A server's own file is whole or no server."""
    found = parse_pid_file(data.decode("utf-8", "replace"))
    if found is not None and found.pid < 0:
        raise AssertionError(found)


def _pem(kind: bytes, der: bytes) -> bytes:
    return PEM % (kind, base64.encodebytes(der), kind)


def _der(pem: bytes) -> bytes:
    return base64.b64decode(b"".join(pem.splitlines()[1:-1]))


def _pair() -> tuple[bytes, bytes]:
    """A certificate and its key."""
    key = new_key()
    return self_signed(key, ["node"], [], NOW), key_pem(key)


def _backup() -> bytes:
    stream = io.BytesIO()
    manifest = {"format": FORMAT, "schema": 1, "made_at": "2026", "tables": []}
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for name, content in ((MANIFEST, json.dumps(manifest).encode()), ("files/key.pem", b"k")):
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return stream.getvalue().rstrip(b"\0") + bytes(1_024)


CERTIFICATE, KEY = _pair()

TARGETS: Final[dict[str, Target]] = {
    "configurations": Target(
        configurations,
        (
            b'[node]\nname = "a"\nstate_dir = "/srv/q"\n[clients]\nport = 1\n',
            b'[network]\nsubnet = "10.9.0.0/24"\nuplink = "nat"\n[vm]\nboot_limit_s = 5.5\n',
        ),
    ),
    "backups": Target(backups, (_backup(),)),
    "home_snapshots": Target(
        home_snapshots,
        (
            b'[1, 5, "alice", "acme", "2026-11-01T10-00-00Z", 512]\n'
            b'["", "folder", 448, 1000, 1000, 1, 0, 0, 0, [], "", []]\n'
            b'["a", "file", 420, 1000, 1000, 3, 4, 77, 9, [[0, "' + b"ab" * 32 + b'"]], "",'
            b' [["user.tag", "00ff"]]]\n'
            b'["b", "hard link", 420, 0, 0, 3, 4, 77, 9, [], "a", []]\n',
        ),
    ),
    "state_files": Target(state_files, (b'{"version": 1, "order": {}, "port": {}}',)),
    "certificates": Target(
        certificates, (CERTIFICATE + b"|" + KEY, _der(CERTIFICATE) + b"|" + _der(KEY))
    ),
    "database_addresses": Target(
        database_addresses,
        (b"postgresql://u:p@a:1,b/db?sslmode=require", b"postgresql:///db?host=/run&port=1"),
    ),
    "pid_files": Target(pid_files, (b"4711\n/x\n1\n5432\n/run\n\n 1 5\nready\n",)),
}
