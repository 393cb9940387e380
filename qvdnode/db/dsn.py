"""Splits a DSN with several hosts into one DSN per host. Pure."""

from typing import Final
from urllib.parse import parse_qsl, urlencode, urlsplit

from qvdnode.model.errors import BadConfig

KEY: Final = "database.dsn"
SCHEMES: Final = ("postgresql", "postgres")
DEFAULT_PORT: Final = "5432"


def single_host_dsns(dsn: str) -> tuple[str, ...]:
    """One DSN per host, in the order given; raises BadConfig saying what is wrong with it."""
    try:
        parts = urlsplit(dsn)
    except ValueError as error:
        raise BadConfig(f"{KEY} is not an address: {error}", key=KEY) from error
    if parts.scheme not in SCHEMES:
        raise BadConfig(f"{KEY} must start with postgresql://", key=KEY)
    if not parts.path.strip("/"):
        raise BadConfig(f"{KEY} must name a database, as in postgresql://host/qvdnode", key=KEY)
    query = dict(parse_qsl(parts.query))
    # we check each host for read-write ourselves; asyncpg would apply the option to its own list
    query.pop("target_session_attrs", None)
    account, _, netloc = parts.netloc.rpartition("@")
    hosts = netloc or query.pop("host", "")
    ports = query.pop("port", "").split(",")
    if not hosts:
        raise BadConfig(f"{KEY} must name a host or a socket folder", key=KEY)
    names = hosts.split(",")
    if len(ports) not in (1, len(names)):
        raise BadConfig(f"{KEY} must give one port, or one for each host", key=KEY)
    if len(ports) == 1:
        ports *= len(names)
    return tuple(
        _rebuilt(parts.scheme, account, (name, port), parts.path, query)
        for name, port in zip(names, ports, strict=True)
    )


def host_and_port(dsn: str) -> str:
    """Host and port of a single-host DSN, without account and password; for logs and people."""
    parts = urlsplit(dsn)
    named = dict(parse_qsl(parts.query))
    return parts.netloc.rpartition("@")[2] or f"{named.get('host')}:{named.get('port')}"


def _rebuilt(
    scheme: str, account: str, host: tuple[str, str], path: str, query: dict[str, str]
) -> str:
    name, port = host
    if not name:
        raise BadConfig(f"{KEY} has an empty host name", key=KEY)
    at = f"{account}@" if account else ""
    if name.startswith("/"):
        query = {**query, "host": name, "port": port or DEFAULT_PORT}
        return _joined(scheme, at, path, query)
    has_port = ":" in name.rpartition("]")[2]
    address = name if has_port else f"{name}:{port or DEFAULT_PORT}"
    return _joined(scheme, f"{at}{address}", path, query)


def _joined(scheme: str, netloc: str, path: str, query: dict[str, str]) -> str:
    # urlunsplit would drop the slashes of an empty netloc
    tail = f"?{urlencode(query, safe='/')}" if query else ""
    return f"{scheme}://{netloc}{path}{tail}"
