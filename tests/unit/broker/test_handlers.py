"""The order of the checks, and what each path gives."""

import base64
import json
import logging

import pytest

from qvdnode.broker.boundary import answered
from qvdnode.broker.handlers import Handlers, Outcome, Request
from qvdnode.broker.login import ConnectionLogin
from qvdnode.model.display_params import DisplayParams
from qvdnode.model.errors import FarmError, Forbidden, Unavailable
from qvdnode.model.seat import DisplayAddress
from qvdnode.session.connect import SessionTicket
from qvdnode.wire.qvd1 import parse_head
from qvdnode.wire.qvd_answers import Answer
from tests.fakes.clock import ManualClock
from tests.fakes.desktops import FakeAuthenticator, FakeDesktops, vm
from tests.fakes.orders import desktop_order
from tests.unit.session.test_desktops import World

UPGRADE = "Connection: Upgrade\nUpgrade: QVD/1.0\n"


class Nobody:
    """A client that is never evicted."""

    def evict(self, reason: str) -> None:
        raise AssertionError(reason)


class Asker:
    """One connection to the handlers."""

    def __init__(self) -> None:
        self.desktops = FakeDesktops(
            address=DisplayAddress("127.0.0.1", 1),
            vms={
                1: vm(1),
                2: vm(2, user=2),
                3: vm(3, tenant=2),
                4: vm(4, blocked=True),
            },
        )
        self.authenticator = FakeAuthenticator(
            passwords={"alice@acme": "secret", "bob@acme": "hidden"}
        )
        self.login = ConnectionLogin(self.authenticator, ManualClock(), "::1", 60)
        self.handlers = Handlers(self.desktops)
        self.refusals: list[FarmError] = []
        self.told: list[str] = []

    async def ask(self, target: str, headers: str = "", *, password: str = "secret") -> Outcome:
        login = base64.b64encode(f"alice@acme:{password}".encode()).decode()
        head = parse_head(
            f"GET {target} HTTP/1.1\nAuthorization: Basic {login}\n{headers}".strip().encode()
        )
        request = Request(head, self.login, "::1", self.progress, Nobody())
        return await answered(self.handlers.handle(request), self.refusals.append)

    async def status(self, target: str, headers: str = "", *, password: str = "secret") -> int:
        outcome = await self.ask(target, headers, password=password)
        assert isinstance(outcome, Answer)
        assert outcome.body.endswith(b"\r\n")
        return outcome.status

    def progress(self, sentence: str) -> None:
        self.told.append(sentence)


async def test_an_unknown_path_comes_before_the_login() -> None:
    assert await Asker().status("/qvd/other", password="wrong") == 404


@pytest.mark.parametrize(
    "path", ["list_of_vm", "list_of_applications", "connect_to_vm", "stop_vm",
             "authenticate_user", "create_auth_token", "session_end"]
)  # fmt: skip
async def test_every_path_but_ping_wants_a_login(path: str) -> None:
    assert await Asker().status(f"/qvd/{path}", password="wrong") == 401


async def test_ping_wants_none() -> None:
    asker = Asker()
    outcome = await asker.ask("/qvd/ping", password="wrong")
    assert isinstance(outcome, Answer)
    assert outcome.body == b"I am alive!\r\n"
    asker.desktops.serving = False
    assert await asker.status("/qvd/ping") == 503


@pytest.mark.parametrize(
    ("target", "status"),
    [
        ("connect_to_vm", 422),
        ("connect_to_vm?id=9&evil=1", 404),
        ("connect_to_vm?id=3&evil=1", 404),
        ("connect_to_vm?id=2&evil=1", 403),
        ("connect_to_vm?id=4", 403),
        ("connect_to_vm?id=1&evil=1", 403),
        ("connect_to_vm?id=1&custom.=1", 400),
        ("connect_to_vm?id=1", 426),
        ("stop_vm", 422),
        ("stop_vm?id=9", 404),
        ("stop_vm?id=2", 403),
        ("stop_vm?id=1&evil=1", 403),
        ("session_end", 422),
        ("session_end?id=9", 404),
        ("session_end?id=2", 403),
        ("connect_to_vm?id=1&auth_token=x", 403),
        ("connect_to_vm?id=1&host_address=x", 403),
    ],
)
async def test_checks_come_in_the_order_of_the_wire(target: str, status: int) -> None:
    asker = Asker()
    assert await asker.status(f"/qvd/{target}") == status
    assert asker.desktops.asked == []
    assert asker.desktops.stopped == []
    assert asker.told == []


async def test_a_client_is_told_how_its_session_ended() -> None:
    outcome = await Asker().ask("/qvd/session_end?id=1")
    assert isinstance(outcome, Answer)
    assert json.loads(outcome.body) == {
        "state": "running", "display": "suspended", "viewer": 0, "because": "", "failed": 0,
    }  # fmt: skip


@pytest.mark.parametrize("headers", ["Connection: Upgrade\n", "Upgrade: QVD/1.0\n",
                                     "Connection: Upgrade\nUpgrade: QVD/2.0\n"])  # fmt: skip
async def test_the_stream_needs_all_upgrade_headers(headers: str) -> None:
    assert await Asker().status("/qvd/connect_to_vm?id=1", headers) == 426


async def test_a_connect_gives_a_ticket_and_tells_the_client() -> None:
    asker = Asker()
    outcome = await asker.ask("/qvd/connect_to_vm?id=1&qvd.client.link=lan", UPGRADE)
    assert isinstance(outcome, SessionTicket)
    assert asker.desktops.asked[0].link == "lan"
    assert asker.told == ["Preparing desktop 1"]


async def test_extra_arguments_are_accepted_ignored_and_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    asker = Asker()
    with caplog.at_level(logging.INFO):
        outcome = await asker.ask(
            "/qvd/connect_to_vm?id=1&qvd.client.nxagent.extra_args=-ac%20-rootless", UPGRADE
        )
    assert isinstance(outcome, SessionTicket)
    assert asker.desktops.asked == [DisplayParams()]
    [line] = [record for record in caplog.records if record.message == "client_options_ignored"]
    assert vars(line)["keys"] == ("qvd.client.nxagent.extra_args",)


@pytest.mark.parametrize(
    ("failure", "status"), [(Forbidden("x"), 403), (Unavailable("x"), 503), (KeyError("x"), 500)]
)
async def test_a_connect_that_fails_says_why(failure: Exception, status: int) -> None:
    asker = Asker()
    asker.desktops.failure = failure
    assert await asker.status("/qvd/connect_to_vm?id=1", UPGRADE) == status


async def test_a_stop_says_so() -> None:
    asker = Asker()
    outcome = await asker.ask("/qvd/stop_vm?id=1", UPGRADE)
    assert isinstance(outcome, Answer)
    assert outcome.body == b"Machine stopped\r\n"
    assert asker.desktops.stopped == [1]


async def test_lists_hold_what_is_mine() -> None:
    outcome = await Asker().ask("/qvd/list_of_vm?")
    assert isinstance(outcome, Answer)
    assert [row["id"] for row in json.loads(outcome.body)] == [1, 3, 4]
    outcome = await Asker().ask("/qvd/list_of_applications")
    assert isinstance(outcome, Answer)
    assert json.loads(outcome.body) == []


async def test_tokens_are_made_on_demand() -> None:
    asker = Asker()
    stored = await asker.ask("/qvd/authenticate_user?store_auth=1")
    plain = await asker.ask("/qvd/authenticate_user")
    made = await asker.ask("/qvd/create_auth_token")
    assert isinstance(stored, Answer)
    assert isinstance(plain, Answer)
    assert isinstance(made, Answer)
    assert json.loads(stored.body) == {"auth_params_id": 5}
    assert json.loads(plain.body) == {}
    token = json.loads(made.body)["auth_token"]
    assert token.endswith("\n")
    assert base64.b64decode(token) == b"token of alice"


@pytest.mark.parametrize("path", ["connect_to_vm", "stop_vm"])
async def test_a_desktop_is_read_once_per_request(path: str) -> None:
    asker, world = Asker(), World(desktop_order(7, user_id=1))
    asker.handlers = Handlers(world.desktops)
    outcome = await asker.ask(f"/qvd/{path}?id=7", UPGRADE)
    assert world.guests.attached + world.guests.stopped == [7], outcome
    assert world.rows.asked == 1
