"""The endpoint over real TLS on loopback: good clients, bad ones, and many at once."""

import asyncio
import contextlib
import logging
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from qvdnode.broker.endpoint import Endpoint
from qvdnode.broker.settings import BrokerSettings
from qvdnode.model.errors import HostFailed, Throttled
from qvdnode.proxy.guest_end import DisplayDialer
from qvdnode.runtime.clock import SystemClock
from tests.fakes.desktops import SLAVE_KEY, FakeAuthenticator
from tests.integration.broker.clients import CONNECT, Client, Place, patient, place, request
from tests.waiting import until

LIST = request("list_of_vm?")
ASKED = 400
CLIENT_HELLO = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(32)
"""The beginning of a TLS greeting of 512 bytes."""


@pytest.fixture
async def quiet_place(tmp_path: Path) -> AsyncIterator[Place]:
    async with place(tmp_path, patient()) as here:
        yield here


@pytest.fixture
async def quick_place(tmp_path: Path) -> AsyncIterator[Place]:
    async with place(tmp_path) as here:
        yield here


async def test_many_requests_on_one_connection_check_the_login_once(quiet_place: Place) -> None:
    client = await quiet_place.client()
    for _ in range(3):
        status, body = await client.answer(LIST)
        assert status == 200
        assert body.startswith(b'[{"id": 1, "name": "desk 1"')
    assert quiet_place.authenticator.checks == 1


async def test_pipelined_requests_are_answered_in_order(quiet_place: Place) -> None:
    client = await quiet_place.client()
    client.say(LIST + request("ping") + request("nothing"))
    assert [(await client.answer())[0] for _ in range(3)] == [200, 200, 404]


async def test_connection_close_is_honoured(quiet_place: Place) -> None:
    client = await quiet_place.client()
    status, _ = await client.answer(request("ping", "Connection: close"))
    assert status == 200
    assert await client.ended() == b""


async def test_five_wrong_passwords_at_once_do_not_hurt_the_right_one(quiet_place: Place) -> None:
    clients = [await quiet_place.client() for _ in range(5)]
    wrong = request("list_of_vm?", password="wrong")
    answers = await asyncio.gather(*(client.answer(wrong) for client in clients))
    assert [status for status, _ in answers] == [401] * 5
    assert (await clients[0].answer(LIST))[0] == 200


async def test_a_throttled_client_gets_a_sentence(quiet_place: Place) -> None:
    quiet_place.authenticator.failure = Throttled("Wait a moment.", retry_after_s=3)
    client = await quiet_place.client()
    client.say(LIST)
    head = await client.head()
    assert head.startswith(b"HTTP/1.1 503 ")
    assert b"\r\nRetry-After: 3\r\n" in head


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"GET / HTTP/1.0\r\n\r\n", 505),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
        (b"POST /qvd/ping HTTP/1.1\r\n\r\n", 400),
        (b"GET /qvd/ping HTTP/1.1\r\nA: " + b"x" * 20_000 + b"\r\n\r\n", 400),
        (b"\x00" * 64 + b"\n\n", 400),
    ],
)
async def test_bad_heads_are_answered_and_end_the_connection(
    quiet_place: Place, sent: bytes, status: int
) -> None:
    client = await quiet_place.client()
    assert (await client.answer(sent))[0] == status
    assert await client.ended() == b""


async def test_plain_http_is_no_tls(quiet_place: Place) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", quiet_place.port)
    writer.write(b"GET /qvd/ping HTTP/1.1\r\n\r\n")
    assert b"HTTP/" not in await reader.read()
    writer.close()


async def test_a_truncated_head_then_a_close_is_no_harm(quiet_place: Place) -> None:
    client = await quiet_place.client()
    client.say(LIST[:30])
    client.writer.close()
    assert (await (await quiet_place.client()).answer(LIST))[0] == 200


async def test_a_client_that_stalls_in_a_head_is_told_and_closed(quick_place: Place) -> None:
    client = await quick_place.client()
    assert (await client.answer(LIST[:30]))[0] == 400
    assert await client.ended() == b""


async def test_a_client_that_trickles_is_no_better(quick_place: Place) -> None:
    client, loop = await quick_place.client(), asyncio.get_running_loop()
    bytes_to_come = [
        loop.call_later(at / 10, client.say, LIST[at : at + 1]) for at in range(len(LIST) - 1)
    ]
    assert (await client.answer())[0] == 400
    for one in bytes_to_come:
        one.cancel()


@pytest.mark.parametrize("said", [b"", CLIENT_HELLO[:3], CLIENT_HELLO])
async def test_a_client_that_stalls_in_tls_is_closed(quick_place: Place, said: bytes) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", quick_place.port)
    writer.write(said)
    async with asyncio.timeout(30):
        assert await reader.read() == b""
    writer.close()


async def test_an_idle_connection_is_closed_with_close_notify(quick_place: Place) -> None:
    client = await quick_place.client()
    assert (await client.answer(LIST))[0] == 200
    assert await client.ended() == b""


async def test_200_half_open_connections_do_not_hurt_others(quiet_place: Place) -> None:
    stalled = [await quiet_place.half_open() for _ in range(200)]
    client = await quiet_place.client()
    assert (await client.answer(LIST))[0] == 200
    for writer in stalled:
        writer.close()


async def test_too_many_half_open_connections_cost_the_oldest(tmp_path: Path) -> None:
    settings = BrokerSettings(unauthenticated_per_source=10, unauthenticated_total=20)
    async with place(tmp_path, settings) as here:
        proven = await here.client()
        assert (await proven.answer(LIST))[0] == 200
        first, first_writer = await asyncio.open_connection("127.0.0.1", here.port)
        rest = [await here.half_open() for _ in range(10)]
        async with asyncio.timeout(30):
            with contextlib.suppress(ConnectionResetError):
                assert await first.read() == b""
        assert (await proven.answer(LIST))[0] == 200
        assert (await (await here.client()).answer(LIST))[0] == 200
        for writer in [first_writer, *rest]:
            writer.close()


async def test_one_user_does_not_keep_all_connections(tmp_path: Path) -> None:
    async with place(tmp_path, BrokerSettings(idle_per_user=3)) as here:
        clients = [await here.client() for _ in range(4)]
        for client in clients:
            assert (await client.answer(LIST))[0] == 200
        async with asyncio.timeout(30):
            with contextlib.suppress(ConnectionResetError):
                assert await clients[0].reader.read() == b""
        for client in clients[1:]:
            assert (await client.answer(LIST))[0] == 200


async def test_an_ipv4_client_of_an_ipv6_listener_has_its_ipv4_address(tmp_path: Path) -> None:
    async with place(tmp_path, patient(), address="::") as here:
        client = await here.client()
        assert (await client.answer(LIST))[0] == 200
        [connection] = here.endpoint._connections.all()
        assert connection.source == "127.0.0.1"


async def test_unauthenticated_clients_cannot_fill_the_log(
    quiet_place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    client = await quiet_place.client()
    wrong = request("list_of_vm?", password="wrong")
    with caplog.at_level(logging.INFO):
        for _ in range(50):
            assert (await client.answer(wrong))[0] == 401
    assert caplog.records == []  # auth writes of failures, so many a minute


async def test_progress_and_the_101_come_in_records_of_their_own(quiet_place: Place) -> None:
    quiet_place.desktops.sentences = ("Starting virtual machine", "Almost there")
    heads = await asyncio.to_thread(records, quiet_place.port, CONNECT, 3)
    assert [head.split(b" ")[1] for head in heads] == [b"102", b"102", b"101"]
    assert all(head.endswith(b"\r\n\r\n") for head in heads)
    assert heads[0].split(b"\r\n")[1] == b"X-QVD-VM-Info: Starting virtual machine"
    assert heads[1].split(b"\r\n")[1] == b"X-QVD-VM-Info: Almost there"
    assert SLAVE_KEY.encode() in heads[2]


async def test_of_two_sentences_in_one_turn_of_the_loop_the_newest_is_told(
    quiet_place: Place,
) -> None:
    quiet_place.desktops.sentences = ("Starting virtual machine",)
    client = await quiet_place.client()
    client.say(CONNECT)  # "Preparing" is said in the same turn
    assert b"Starting" in await client.head()
    assert (await client.head()).startswith(b"HTTP/1.1 101 ")


def records(port: int, sent: bytes, count: int) -> list[bytes]:
    """What each TLS record of the answer holds."""
    import socket  # noqa: PLC0415 - only this thread's client is blocking

    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with (
        socket.create_connection(("127.0.0.1", port), timeout=5) as tcp,
        context.wrap_socket(tcp) as tls,
    ):
        tls.sendall(sent)
        return [tls.recv(65536) for _ in range(count)]


async def test_a_waiting_client_hears_the_same_again(quiet_place: Place) -> None:
    quiet_place.desktops.sentences = ("Starting virtual machine",)
    quiet_place.desktops.gate = asyncio.Event()
    client = await quiet_place.client()
    client.say(CONNECT)
    heads = [await client.head() for _ in range(3)]
    assert b"Starting" in heads[0]
    assert heads[0] == heads[1] == heads[2]
    quiet_place.desktops.gate.set()
    assert (await client.head()).startswith(b"HTTP/1.1 101 ")


async def test_a_client_that_vanishes_while_it_waits_cancels_the_work(quiet_place: Place) -> None:
    quiet_place.desktops.gate = asyncio.Event()
    client = await quiet_place.client()
    client.say(CONNECT)
    await client.head()
    client.vanish()
    await until(lambda: quiet_place.desktops.cancelled == 1)
    assert quiet_place.desktops.ended_tickets == []


async def test_a_stop_is_told_and_confirmed(quiet_place: Place) -> None:
    quiet_place.desktops.sentences = ("Stopping",)
    client = await quiet_place.client()
    client.say(request("stop_vm?id=1"))
    assert b"Stopping" in await client.head()
    assert await client.answer() == (200, b"Machine stopped\r\n")
    assert (await client.answer(LIST))[0] == 200


async def test_a_client_evicted_while_it_waits_is_told(quiet_place: Place) -> None:
    gate = quiet_place.desktops.gate = asyncio.Event()
    client = await quiet_place.client()
    client.say(CONNECT)
    await client.head()
    quiet_place.serving.cancel()
    status, body = await client.answer()
    assert status == 503
    assert b"stopping" in body
    assert not gate.is_set()


async def test_a_taken_port_is_explained(tmp_path: Path, quiet_place: Place) -> None:
    settings = BrokerSettings(address="127.0.0.1", port=quiet_place.port)
    endpoint = Endpoint(
        quiet_place.desktops,
        FakeAuthenticator(),
        lambda: ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER),
        SystemClock(),
        settings,
        DisplayDialer(settings.relay),
    )
    with pytest.raises(HostFailed, match="in use"):
        endpoint.listen()


async def test_a_client_that_does_not_read_is_not_fed_for_ever(tmp_path: Path) -> None:
    async with place(tmp_path, patient()) as here:
        client: Client = await here.client()
        client.reader._limit = 1  # type: ignore[attr-defined]  # makes our own end stop reading
        for number in range(2, 3_000):
            here.desktops.vms[number] = here.desktops.vms[1]
        client.say(LIST * ASKED)
        await until(lambda: here.authenticator.checks == 1)
        other = await here.client()
        for _ in range(20):
            assert (await other.answer(LIST))[0] == 200
        assert here.desktops.listed < ASKED / 2
        client.vanish()


async def test_a_client_that_does_not_read_is_not_kept_for_ever(quick_place: Place) -> None:
    client = await quick_place.client()
    client.reader._limit = 1  # type: ignore[attr-defined]  # makes our own end stop reading
    for number in range(2, 3_000):
        quick_place.desktops.vms[number] = quick_place.desktops.vms[1]
    client.say(LIST * ASKED)
    await until(lambda: quick_place.endpoint._connections)
    await until(lambda: not quick_place.endpoint._connections)
    assert quick_place.desktops.listed < ASKED


async def test_a_new_password_counts_on_a_kept_connection(quiet_place: Place) -> None:
    client = await quiet_place.client()
    assert (await client.answer(LIST))[0] == 200
    quiet_place.authenticator.passwords["alice@acme"] = "changed"
    quiet_place.authenticator.forgotten += 1
    assert (await client.answer(LIST))[0] == 401


@pytest.mark.parametrize("asked", [request("ping"), request("list_of_vm", password="wrong")])
async def test_who_has_not_logged_in_counts_as_unauthenticated(
    tmp_path: Path, asked: bytes
) -> None:
    settings = BrokerSettings(unauthenticated_per_source=5, unauthenticated_total=10)
    async with place(tmp_path, settings) as here:
        known = await here.client()
        assert (await known.answer(LIST))[0] == 200
        unknown = [await here.client() for _ in range(5)]
        for client in unknown:
            await client.answer(asked)
        another = await here.client()
        assert await unknown[0].ended() == b""
        for client in (known, another, unknown[1]):
            assert (await client.answer(LIST))[0] == 200


async def test_a_refusal_arrives_although_the_client_goes_on_sending(quiet_place: Place) -> None:
    answer = await asyncio.to_thread(talk_on, quiet_place.port)
    assert answer.startswith(b"HTTP/1.1 400 ")
    await until(lambda: not quiet_place.endpoint._connections)


async def test_who_goes_on_for_ever_is_dropped(quick_place: Place) -> None:
    client = await quick_place.client()
    client.say(b"x" * 20_000)
    ended = asyncio.get_running_loop().time() + 5
    while quick_place.endpoint._connections:
        client.say(b"x" * 1_000)
        await asyncio.sleep(0.05)
        assert asyncio.get_running_loop().time() < ended


def talk_on(port: int) -> bytes:
    """Send far too much and then read: the whole answer, and an end that is not a reset."""
    import socket  # noqa: PLC0415 - only this thread's client is blocking

    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with (
        socket.create_connection(("127.0.0.1", port), timeout=5) as tcp,
        context.wrap_socket(tcp) as tls,
    ):
        for _ in range(1_000):
            tls.sendall(b"x" * 20_000)
        answer = b""
        while piece := tls.recv(65536):
            answer += piece
        return answer


async def test_what_is_sent_before_the_answer_is_bounded(quiet_place: Place) -> None:
    quiet_place.desktops.gate = asyncio.Event()
    client = await quiet_place.client()
    client.say(CONNECT)
    assert (await client.head()).startswith(b"HTTP/1.1 102 ")
    status, body = await client.answer(LIST * 1_000)
    assert (status, b"Too much" in body) == (400, True)
    assert await client.ended() == b""
    await until(lambda: quiet_place.desktops.cancelled == 1)
    assert quiet_place.desktops.listed == 0
