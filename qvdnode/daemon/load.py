"""Reads the configuration: defaults, then a TOML file, then the environment.

The keys are the fields of the settings dataclasses; nothing is listed twice. An unknown key is
refused by its path, a wrong value with the path and the reason. Environment variables are named
QVDNODE_SECTION__KEY, such as QVDNODE_NODE__STATE_DIR; a list is written as in the file.
"""

import tomllib
import typing
from collections.abc import Mapping
from dataclasses import MISSING, Field, dataclass, fields, is_dataclass, replace
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Annotated, Any, Final, Generic, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError, create_model
from pydantic import Field as Checked
from pydantic_core import PydanticKnownError

from qvdnode.daemon.config import DERIVED, Config
from qvdnode.daemon.settings import NodeSettings
from qvdnode.host.trusted_path import PathUse, require, without_links
from qvdnode.model.errors import BadConfig, HostFailed
from qvdnode.model.validation_text import validation_text
from qvdnode.runtime.safe_files import open_regular

ENV_PREFIX: Final = "QVDNODE_"

S = TypeVar("S")


@dataclass(frozen=True, slots=True)
class Section(Generic[S]):
    """What checks a section of the file."""

    kind: type[S]
    model: type[BaseModel]
    """The model of the plain values."""
    inner: Mapping[str, "Section[Any]"]


def load(path: Path | None, environ: Mapping[str, str]) -> Config:
    """The whole configuration; raises BadConfig naming the key."""
    raw = {} if path is None else read_file(path)
    merge_environment(raw, environ)
    return parse(raw)


def read_file(path: Path) -> dict[str, Any]:
    """The tables of a TOML file; raises BadConfig when it cannot be read, or trusted.

    Whoever can change the configuration of a process of root's is root.
    """
    try:
        require(path, PathUse.FILE)
        with open_regular(path) as file:
            return tables(file.read())
    except OSError as error:
        raise BadConfig(f"{path} cannot be read: {error.strerror}") from error
    except HostFailed as error:
        raise BadConfig(f"{path} is not used: {error}") from error
    except BadConfig as error:
        raise BadConfig(f"{path} {error}") from error


def tables(content: bytes) -> dict[str, Any]:
    """The tables of a TOML text; raises BadConfig when it is none."""
    try:
        return tomllib.loads(content.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise BadConfig(f"is not valid TOML: {error}") from error


def merge_environment(raw: dict[str, Any], environ: Mapping[str, str]) -> None:
    """Put QVDNODE_SECTION__KEY variables over what the file says; raises BadConfig.

    A variable that begins like a section's but is no such name is refused, not passed over.
    """
    for name, value in sorted(environ.items()):
        if not name.startswith(ENV_PREFIX):
            continue
        *path, key = name.removeprefix(ENV_PREFIX).lower().split("__")
        if path:
            _table(raw, path)[key] = _from_environment(name, value)
        elif key.partition("_")[0] in {section.name for section in fields(Config)}:
            raise BadConfig(
                f"{name} is not a setting: between section and key stand two underscores,"
                f" as in {ENV_PREFIX}NODE__STATE_DIR",
                key=name,
            )


def _table(raw: dict[str, Any], path: list[str]) -> dict[str, Any]:
    table = raw
    for depth, name in enumerate(path, start=1):
        table = table.setdefault(name, {})
        if not isinstance(table, dict):
            section = ".".join(path[:depth])
            raise BadConfig(f"[{section}] must be a table", key=section)
    return table


def _from_environment(name: str, text: str) -> object:
    """The text, or the list that it writes as TOML does."""
    if not text.startswith("["):
        return text
    try:
        return tomllib.loads(f"list = {text}")["list"]
    except tomllib.TOMLDecodeError as error:
        raise BadConfig(f'{name} is not a list: {error}; write ["one", "two"]', key=name) from error


def parse(raw: Mapping[str, Any]) -> Config:
    """A Config from tables of plain values; raises BadConfig naming the key."""
    for name in raw:
        if name not in SECTIONS:
            raise BadConfig(
                f"unknown section [{name}]; there are {', '.join(sorted(SECTIONS))}", key=name
            )
    node = _filled(SECTIONS["node"], "node", raw.get("node", {}), {})
    node = replace(node, state_dir=_without_links(node.state_dir))
    derived = {name: getattr(node, name) for name in DERIVED}
    others = {
        name: _filled(section, name, raw.get(name, {}), derived)
        for name, section in SECTIONS.items()
        if name != "node"
    }
    return Config(node=node, **others)


def _without_links(state_dir: Path) -> Path:
    """Done once, for all that is below: the kernel lists mounts by the way without links."""
    try:
        return without_links(state_dir)
    except (HostFailed, OSError, ValueError) as error:
        raise BadConfig(
            f"[node] state_dir cannot be used: {error}", key="node.state_dir"
        ) from error


def settable(kind: type[Any]) -> list[Field[Any]]:
    """The fields of a settings class that a section may set."""
    hidden = frozenset[str]() if kind is NodeSettings else DERIVED
    return [item for item in fields(kind) if item.name not in hidden]


def _filled(section: Section[S], path: str, table: object, derived: Mapping[str, object]) -> S:
    if not isinstance(table, dict):
        raise BadConfig(f"[{path}] must be a table", key=path)
    inner = {name: part for name, part in section.inner.items() if name in table}
    plain = {name: value for name, value in table.items() if name not in inner}
    values = _checked(section, path, plain)
    for name, part in inner.items():
        values[name] = _filled(part, f"{path}.{name}", table[name], derived)
    wanted = {item.name for item in fields(_dataclass(section.kind))}
    values.update({name: value for name, value in derived.items() if name in wanted})
    try:
        return section.kind(**values)
    except ValueError as error:
        raise BadConfig(f"[{path}] {error}", key=path) from error


def _section_of(kind: type[S]) -> Section[S]:
    hints = typing.get_type_hints(kind)
    inner = nested(kind)
    shape: dict[str, Any] = {
        item.name: (_as_written(hints[item.name]), _default(item))
        for item in settable(kind)
        if item.name not in inner
    }
    model = create_model(kind.__name__, __config__=ConfigDict(extra="forbid"), **shape)
    return Section(kind, model, {name: _section_of(part) for name, part in inner.items()})


def _as_written(hint: Any) -> Any:  # noqa: ANN401 - a type's annotation
    """The hint with addresses taken from text alone: ipaddress takes 1 for 0.0.0.1, too."""
    if hint in (IPv4Address, IPv4Network):
        return Annotated[hint, BeforeValidator(_only_text)]
    if typing.get_origin(hint) is tuple:
        return tuple[tuple(_as_written(part) for part in typing.get_args(hint))]  # type: ignore[misc]  # made up at run time
    return hint


def _only_text(value: object) -> object:
    if not isinstance(value, str):
        raise PydanticKnownError("string_type")
    return value


def nested(kind: type[Any]) -> dict[str, type[Any]]:
    """The fields of a settings class that are sections of their own."""
    hints = typing.get_type_hints(kind)
    return {
        item.name: hints[item.name]
        for item in settable(kind)
        if isinstance(hints[item.name], type) and is_dataclass(hints[item.name])
    }


def _checked(section: Section[Any], path: str, table: Mapping[str, object]) -> dict[str, Any]:
    try:
        return dict(section.model.model_validate(table))
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join([path, *(str(part) for part in first["loc"])])
        if first["type"] == "extra_forbidden":
            names = ", ".join(item.name for item in settable(section.kind))
            raise BadConfig(f"unknown key {key}; [{path}] has {names}", key=key) from error
        raise BadConfig(f"{key} {validation_text(first)}", key=key) from error


def _dataclass(kind: type[Any]) -> type[Any]:
    if not is_dataclass(kind):
        raise TypeError(f"{kind} is not a settings class")
    return kind


def _default(item: Field[Any]) -> object:
    if item.default is not MISSING:
        return item.default
    if item.default_factory is not MISSING:
        return Checked(default_factory=item.default_factory)
    return ...


SECTIONS: Final[dict[str, Section[Any]]] = {
    name: _section_of(kind) for name, kind in typing.get_type_hints(Config).items()
}
