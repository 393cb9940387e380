from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qvdnode.model.account import account_name
from qvdnode.model.display_params import DisplayParams
from qvdnode.vm.core.session_facts import host_name, machine_id, session_params
from tests.fakes.orders import FLAVOUR, desktop_order


def params(wishes: DisplayParams, **order: str) -> dict[str, str]:
    return session_params(desktop_order(**order), wishes, prefix="t1")  # type: ignore[arg-type]  # any field


@pytest.mark.parametrize(
    ("vm_name", "host"),
    [
        ("desk", "desk"),
        ("My Desk!", "my-desk"),
        ("--", "desktop-7"),
        ("büro", "b-ro"),
        ("a" * 70, "a" * 63),
        ("a" * 62 + "-b", "a" * 62),
    ],
)
def test_a_vm_s_name_becomes_a_host_name(vm_name: str, host: str) -> None:
    assert host_name(vm_name, 7) == host


def test_a_machine_keeps_its_id_and_shares_it_with_nobody() -> None:
    assert machine_id("t1", 7) == machine_id("t1", 7)
    assert len({machine_id("t1", 7), machine_id("t1", 8), machine_id("t2", 7)}) == 3
    assert len(machine_id("t1", 7)) == 32


def test_the_client_goes_before_the_flavour() -> None:
    assert params(DisplayParams())["TIMEZONE"] == FLAVOUR.timezone
    assert params(DisplayParams(timezone="Asia/Tokyo"))["TIMEZONE"] == "Asia/Tokyo"


def test_name_servers_and_search_domains_are_lists_of_words() -> None:
    told = session_params(
        desktop_order(),
        DisplayParams(),
        prefix="t1",
        nameservers=("192.0.2.1", "192.0.2.2"),
        search_domains=("a.example", "b.example"),
    )
    assert told["NAMESERVERS"] == "192.0.2.1 192.0.2.2"
    assert told["SEARCH"] == "a.example b.example"


def test_what_nobody_said_is_left_out() -> None:
    told = params(DisplayParams())
    assert "GEOMETRY" not in told
    assert "APPLICATION" not in told
    assert all(told.values())


@pytest.mark.parametrize(
    ("keyboard", "told"),
    [
        ("pc105/es", ("pc105/es", None)),
        ("pc105/us/intl", ("pc105/us", "intl")),
        ("pc105", ("pc105", None)),
        (None, (None, None)),
    ],
)
def test_a_variant_of_the_keyboard_is_told_on_its_own(
    keyboard: str | None, told: tuple[str | None, str | None]
) -> None:
    made = params(DisplayParams(keyboard=keyboard))
    assert (made.get("KEYBOARD"), made.get("VARIANT")) == told


def test_a_guest_is_told_nothing_that_logs_in_as_its_user() -> None:
    told = params(DisplayParams(os="windows", keyboard="pc105/es", geometry="8x6", fullscreen=True))
    assert set(told) == {
        "LOGIN", "UID", "HOME", "SHELL", "HOSTNAME", "MACHINE_ID", "LOCALE", "TIMEZONE",
        "KEYBOARD", "LINK", "GEOMETRY", "FULLSCREEN", "CLIENT",
    }  # fmt: skip


def test_the_account_and_its_home_agree() -> None:
    told = params(DisplayParams(), login="alice.smith")
    assert told["HOME"] == f"/home/{told['LOGIN']}"
    assert told["UID"] == "1000"


@pytest.mark.parametrize("login", ["_tmp", "www-data", "polkitd", "7of9"])
def test_root_and_session_script_know_the_same_account(login: str) -> None:
    assert params(DisplayParams(), login=login)["LOGIN"] == account_name(login)


def test_a_single_application_is_named() -> None:
    order = desktop_order(flavour=replace(FLAVOUR, application="xterm -ls"))
    assert session_params(order, DisplayParams(), prefix="")["APPLICATION"] == "xterm -ls"


@pytest.mark.parametrize(
    ("os", "word"),
    [("windows", "windows"), ("darwin", "macosx"), ("linux", "linux"), ("android", "linux")],
)
def test_the_clients_system_is_told_in_nxagents_words(os: str, word: str) -> None:
    assert params(DisplayParams(os=os))["CLIENT"] == word


@given(st.dictionaries(st.text(), st.text()))
def test_custom_values_cannot_pass_for_others(custom: dict[str, str]) -> None:
    told = params(DisplayParams(custom=custom))
    plain = params(DisplayParams())
    assert {key: told[key] for key in plain} == plain
    for key, value in told.items():
        assert key in plain or key.startswith("CUSTOM_")
        assert all(sign >= " " and sign != "\x7f" for sign in value)
        assert all(sign.isascii() and (sign.isalnum() or sign == "_") for sign in key)
