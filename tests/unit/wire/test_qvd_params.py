"""Parameters of connect_to_vm: what clients send is taken, nothing else reaches the guest."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qvdnode.model.display_params import DisplayParams
from qvdnode.model.errors import Forbidden, Invalid, NotFound
from qvdnode.wire.qvd_params import (
    CUSTOM_KEYS_MAX,
    GRAMMAR,
    parse_display,
    parse_id,
)
from qvdnode.wire.session_params import CUSTOM_VALUE_MAX


def test_a_whole_request_of_the_perl_client_is_understood() -> None:
    query = {
        "id": "7",
        "qvd.client.link": "adsl",
        "qvd.client.keyboard": "pc105/es",
        "qvd.client.os": "linux",
        "qvd.client.geometry": "1024x768",
        "qvd.client.fullscreen": "",
        "qvd.client.printing.enabled": "0",
        "qvd.client.usb.enabled": "0",
        "qvd.client.nxagent.extra_args": "",
    }
    assert parse_id(query) == 7
    asked = parse_display(query)
    assert asked.params == DisplayParams(
        os="linux", link="adsl", keyboard="pc105/es", geometry="1024x768", fullscreen=False
    )
    assert asked.ignored == ()


def test_the_qt_client_says_more() -> None:
    request = parse_display(
        {
            "qvd.client.type": "qt",
            "qvd.client.timezone": "Europe/Madrid",
            "qvd.client.fullscreen": "1",
            "qvd.client.usb.implementation": "usbip",
            "custom.printer": "down the hall",
        }
    )
    assert request.params == DisplayParams(
        client_type="qt",
        timezone="Europe/Madrid",
        fullscreen=True,
        custom={"printer": "down the hall"},
    )
    assert request.ignored == ("qvd.client.usb.implementation",)


def test_extra_arguments_are_ignored_and_named() -> None:
    request = parse_display({"qvd.client.nxagent.extra_args": "-ac -rootless"})
    assert request.params == DisplayParams()
    assert request.ignored == ("qvd.client.nxagent.extra_args",)


INJECTIONS = [
    "{ok},listen=1",
    "{ok}:100",
    "{ok} -ac",
    "{ok}\n",
    "{ok};id",
    "$(id)",
    "{ok}\x00",
    "../{ok}",
    "-{ok}",
    "{ok}=x",
    "{ok}é",
]
GOOD = {
    "os": "linux",
    "link": "lan",
    "keyboard": "pc105/es",
    "geometry": "800x600",
    "fullscreen": "1",
    "timezone": "Europe/Madrid",
    "type": "qt",
}


@pytest.mark.parametrize("injection", INJECTIONS)
@pytest.mark.parametrize("key", GRAMMAR)
def test_an_option_cannot_carry_another(key: str, injection: str) -> None:
    request = parse_display({f"qvd.client.{key}": injection.format(ok=GOOD[key])})
    assert request.params == DisplayParams()
    assert len(request.ignored) == 1


@given(st.dictionaries(st.sampled_from(sorted(GRAMMAR)), st.text(max_size=40)))
def test_whatever_is_sent_only_plain_values_come_out(options: dict[str, str]) -> None:
    params = parse_display({f"qvd.client.{key}": value for key, value in options.items()}).params
    for value in (params.os, params.link, params.keyboard, params.geometry, params.timezone):
        assert value is None or re.fullmatch(r"[A-Za-z0-9_/+.-]+", value)


@pytest.mark.parametrize("link", ["modem", "isdn", "adsl", "wan", "lan", "local", "56k", "1m"])
def test_links_of_clients_pass(link: str) -> None:
    assert parse_display({"qvd.client.link": link}).params.link == link


@pytest.mark.parametrize("keyboard", ["pc105", "pc105/es", "pc105/us/intl"])
def test_keyboards_of_clients_pass(keyboard: str) -> None:
    params = parse_display({"qvd.client.keyboard": keyboard}).params
    assert params.keyboard == keyboard


@pytest.mark.parametrize("query", [{}, {"id": ""}, {"id": "x"}, {"id": "-1"}, {"id": "1 or 1=1"}])
def test_a_missing_id_is_told(query: dict[str, str]) -> None:
    with pytest.raises(Invalid) as refused:
        parse_id(query)
    assert refused.value.field == "id"


@pytest.mark.parametrize("number", ["0", "2147483648", "99999999999999999999"])
def test_an_impossible_id_is_a_desktop_that_is_not_there(number: str) -> None:
    with pytest.raises(NotFound):
        parse_id({"id": number})


@pytest.mark.parametrize(
    "key",
    ["qvd.vm.user.name", "qvd.slave.key", "auth_token", "host_address", "ID", "x\ny", "file_name"],
)
def test_keys_of_no_client_are_forbidden(key: str) -> None:
    with pytest.raises(Forbidden) as refused:
        parse_display({key: "1"})
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("custom.", "x"),
        ("custom.a b", "x"),
        ("custom.a=b", "x"),
        ("custom." + "a" * 51, "x"),
        ("custom.a", "x" * (CUSTOM_VALUE_MAX + 1)),
        ("custom.a", "\0"),
    ],
)
def test_custom_parameters_are_bounded(key: str, value: str) -> None:
    with pytest.raises(Invalid):
        parse_display({key: value})


def test_two_custom_parameters_cannot_be_one_in_the_guest() -> None:
    with pytest.raises(Invalid, match="one in the guest"):
        parse_display({"custom.a.b": "x", "custom.a-b": "y"})


def test_there_are_not_too_many_custom_parameters() -> None:
    with pytest.raises(Invalid):
        parse_display({f"custom.{number}": "" for number in range(CUSTOM_KEYS_MAX + 1)})


def test_custom_values_may_hold_anything_printable_or_not() -> None:
    assert parse_display({"custom.a": "x\n$(id) é"}).params.custom == {"a": "x\n$(id) é"}
