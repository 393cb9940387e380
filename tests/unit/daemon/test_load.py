"""The configuration: defaults, file, environment; wrong keys are refused by name."""

import contextlib
import math
from dataclasses import fields
from pathlib import Path
from typing import Any, get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qvdnode.daemon.config import Config
from qvdnode.daemon.load import load, merge_environment, parse, settable, tables
from qvdnode.model.errors import BadConfig

SECTIONS = sorted(section.name for section in fields(Config))
KEYS = sorted({item.name for name in SECTIONS for item in fields(getattr(Config(), name))})
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner),
    max_leaves=4,
)


def test_nothing_given_is_the_defaults() -> None:
    assert parse({}) == Config()


def test_a_section_gets_its_values_typed() -> None:
    config = parse({"clients": {"port": 9000}, "network": {"subnet": "10.9.0.0/24"}})
    assert config.clients.port == 9000
    assert str(config.network.subnet) == "10.9.0.0/24"


def test_state_folder_and_prefix_reach_the_sections_that_need_them() -> None:
    config = parse({"node": {"state_dir": "/srv/q", "prefix": "t1"}})
    assert config.image.state_dir == Path("/srv/q")
    assert config.database.state_dir == Path("/srv/q")
    assert config.network.prefix == "t1"


def test_a_section_within_a_section() -> None:
    assert parse({"clients": {"relay": {"dial_limit_s": 2}}}).clients.relay.dial_limit_s == 2


@pytest.mark.parametrize(
    ("raw", "key"),
    [
        ({"nodes": {}}, "nodes"),
        ({"node": {"stat_dir": "/x"}}, "node.stat_dir"),
        ({"clients": {"relay": {"dial": 2}}}, "clients.relay.dial"),
        ({"clients": {"port": "many"}}, "clients.port"),
        ({"image": {"state_dir": "/elsewhere"}}, "image.state_dir"),
        ({"clients": 3}, "clients"),
        ({"node": {"prefix": "Too Long"}}, "node"),
        ({"node": {"state_dir": "/srv/my farm"}}, "node"),
        ({"node": {"state_dir": "/srv/a:b"}}, "node"),
        ({"node": {"state_dir": "/srv/a\n"}}, "node"),
        ({"admin": {"port": 70_000}}, "admin"),
        ({"log": {"level": "loud"}}, "log"),
        ({"tls": {"names": ["büro.example"]}}, "tls"),
        ({"tls": {"names": [""]}}, "tls"),
    ],
)
def test_what_is_wrong_is_refused_by_its_path(raw: dict[str, Any], key: str) -> None:
    with pytest.raises(BadConfig) as refusal:
        parse(raw)
    assert refusal.value.key == key


@pytest.mark.parametrize(
    "content", [b"\xff", b"a", b"a = " + b"[" * 50_000, b"a = " + b"9" * 5_000]
)
def test_what_is_no_toml_is_refused(content: bytes) -> None:
    with pytest.raises(BadConfig, match="not valid TOML"):
        tables(content)


@given(st.dictionaries(st.sampled_from(SECTIONS), st.dictionaries(st.sampled_from(KEYS), VALUES)))
def test_any_values_are_taken_or_refused(raw: dict[str, dict[str, Any]]) -> None:
    with contextlib.suppress(BadConfig):
        parse(raw)


def test_an_unknown_key_is_answered_with_those_there_are() -> None:
    with pytest.raises(BadConfig, match="state_dir"):
        parse({"node": {"stat_dir": "/x"}})


def test_the_environment_goes_over_the_file() -> None:
    raw: dict[str, Any] = {"node": {"name": "one", "prefix": "a"}}
    merge_environment(raw, {"QVDNODE_NODE__NAME": "two", "PATH": "/bin", "QVDNODE_TEST": "x"})
    config = parse(raw)
    assert (config.node.name, config.node.prefix) == ("two", "a")


@pytest.mark.parametrize(
    ("variable", "value", "section", "key", "meant"),
    [
        ("QVDNODE_CLIENTS__PORT", "9000", "clients", "port", 9000),
        ("QVDNODE_NODE__STOP_GUESTS", "true", "node", "stop_guests", True),
        ("QVDNODE_NODE__STATE_DIR", "/srv/q", "node", "state_dir", Path("/srv/q")),
        ("QVDNODE_TLS__NAMES", '["a.example", "b"]', "tls", "names", ("a.example", "b")),
        ("QVDNODE_VM__BOOT_LIMIT_S", "7.5", "vm", "boot_limit_s", 7.5),
    ],
)
def test_the_environment_is_typed_as_the_file_is(
    variable: str, value: str, section: str, key: str, meant: object
) -> None:
    raw: dict[str, Any] = {}
    merge_environment(raw, {variable: value})
    assert getattr(getattr(parse(raw), section), key) == meant


def test_the_environment_reaches_a_section_within_a_section() -> None:
    raw: dict[str, Any] = {"clients": {"relay": {"dial_limit_s": 2}}}
    merge_environment(raw, {"QVDNODE_CLIENTS__RELAY__DIAL_LIMIT_S": "3"})
    assert parse(raw).clients.relay.dial_limit_s == 3


@pytest.mark.parametrize(
    ("variable", "value", "named"),
    [
        ("QVDNODE_NODE__STAT_DIR", "/x", "node.stat_dir"),
        ("QVDNODE_NODES__NAME", "x", "nodes"),
        ("QVDNODE_NODE_STATE_DIR", "/x", "QVDNODE_NODE_STATE_DIR"),
        ("QVDNODE_NODE", "x", "QVDNODE_NODE"),
        ("QVDNODE_TLS__NAMES", "[a", "QVDNODE_TLS__NAMES"),
        ("QVDNODE_NODE__NAME__X", "x", "node.name"),
    ],
)
def test_an_odd_variable_is_refused_by_its_name(variable: str, value: str, named: str) -> None:
    with pytest.raises(BadConfig, match=named.replace(".", r"\.")):
        load(None, {"QVDNODE_NODE__NAME": "one", variable: value})


ODD: tuple[object, ...] = (None, True, 7, -1.5, "x", "", [], {}, ["x"], [1], math.nan, math.inf)
SETTINGS = [
    (section.name, item.name)
    for section in fields(Config)
    for item in settable(get_type_hints(Config)[section.name])
]


@pytest.mark.parametrize(("section", "key"), SETTINGS)
def test_no_odd_value_gets_a_foreign_sentence(section: str, key: str) -> None:
    for value in ODD:
        try:
            parse({section: {key: value}})
        except BadConfig as error:
            said = str(error)
        else:
            continue
        assert section in said
        foreign = ("Input", "should", "valid", "parse", "does not fit")
        assert not [word for word in foreign if word in said], said


@pytest.mark.parametrize(
    ("raw", "sentence"),
    [
        ({"clients": {"port": "x"}}, "clients.port must be a whole number"),
        ({"node": {"stop_guests": 7}}, "node.stop_guests must be true or false"),
        ({"network": {"uplink": "wlan"}}, "network.uplink must be nat, routed or none"),
        (
            {"network": {"subnet": "10.0.0.0/33"}},
            "network.subnet must be an IPv4 network such as 10.117.0.0/20",
        ),
        ({"network": {"subnet": True}}, "network.subnet must be text, in quotes"),
        (
            {"network": {"allowed_networks": [1]}},
            "network.allowed_networks.0 must be text, in quotes",
        ),
        ({"network": {"resolvers": [1]}}, "network.resolvers.0 must be text, in quotes"),
    ],
)
def test_a_wrong_value_is_told_by_what_it_must_be(raw: dict[str, Any], sentence: str) -> None:
    with pytest.raises(BadConfig) as refusal:
        parse(raw)
    assert str(refusal.value) == sentence
