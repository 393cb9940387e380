"""Which servers the client sends anything to, in real handshakes on loopback."""

import ssl
from datetime import timedelta
from pathlib import Path

import pytest

from qvdnode.client.connect import desktops_at, fingerprint_at
from qvdnode.client.core.certificate_refusal import Untrusted
from qvdnode.client.target import Target
from qvdnode.client.trust import Trust, authorities
from qvdnode.model.errors import Forbidden, Invalid
from tests.fakes.qvd_server import answer, fake_qvd_server
from tests.harness.authority import Authority, Pair
from tests.integration.client.people import CLOCK, account_at

ROOT = Authority()
PAST = timedelta(days=-1)


async def heads_seen(
    folder: Path, pair: Pair, trust: Trust, *, host: str = "127.0.0.1"
) -> list[str]:
    """What a server with that certificate is sent by a client that lists its desktops."""
    async with fake_qvd_server(folder, context=pair.context(folder)) as server:
        for path in ("/qvd/list_of_vm", "/qvd/list_of_applications"):
            server.answers[path] = answer(200, b"[]")
        try:
            await desktops_at(account_at(Target(host, server.port), trust), CLOCK)
        except Forbidden:
            assert server.heads == []
            raise
        return server.heads


async def pin_of(folder: Path, pair: Pair) -> str:
    async with fake_qvd_server(folder, context=pair.context(folder)) as server:
        return await fingerprint_at(Target("127.0.0.1", server.port), CLOCK)


def given(folder: Path, authority: Authority = ROOT) -> Trust:
    return Trust(authorities=authorities(authority.write(folder)))


async def test_a_given_authority_vouches_for_a_name_and_for_an_address(tmp_path: Path) -> None:
    for host in ("127.0.0.1", "localhost"):
        assert await heads_seen(tmp_path, ROOT.issue(), given(tmp_path), host=host)


async def test_the_systems_authorities_vouch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(ROOT.write(tmp_path)))
    assert await heads_seen(tmp_path, ROOT.issue(), Trust(authorities=authorities()))
    other = Authority().write(tmp_path)
    assert await heads_seen(tmp_path, ROOT.issue(), Trust(authorities=authorities(other)))


async def test_an_authority_below_the_given_one_vouches_if_the_server_shows_it(
    tmp_path: Path,
) -> None:
    below = Authority("Below", ROOT)
    assert await heads_seen(tmp_path, below.issue(), given(tmp_path))
    assert await heads_seen(tmp_path, below.issue(), given(tmp_path, below))
    whole = below.issue()
    alone = Pair(whole.certificate, whole.key)
    with pytest.raises(Untrusted, match="authority that this machine does not trust"):
        await heads_seen(tmp_path, alone, given(tmp_path))


async def test_a_renewal_by_the_same_authority_disturbs_nobody(tmp_path: Path) -> None:
    pinned = await pin_of(tmp_path, ROOT.issue())
    trust = Trust(pinned, given(tmp_path).authorities)
    assert await heads_seen(tmp_path, ROOT.issue(), given(tmp_path))
    assert await heads_seen(tmp_path, ROOT.issue(), trust)


async def test_a_pinned_certificate_needs_no_authority_nor_name_nor_time(tmp_path: Path) -> None:
    pair = Pair.self_signed(("elsewhere.example",), left=PAST)
    trust = Trust(await pin_of(tmp_path, pair), given(tmp_path).authorities)
    assert await heads_seen(tmp_path, pair, trust)


@pytest.mark.parametrize("vouching", [True, False])
async def test_a_changed_certificate_of_ones_own_is_refused(tmp_path: Path, vouching: bool) -> None:
    old, new = Pair.self_signed(), Pair.self_signed()
    trust = Trust(await pin_of(tmp_path, old), given(tmp_path).authorities if vouching else None)
    seen = await pin_of(tmp_path, new)
    with pytest.raises(Forbidden, match=f"Expected {trust.pin}, seen {seen}"):
        await heads_seen(tmp_path, new, trust)


@pytest.mark.parametrize(
    ("pair", "sentence"),
    [
        (ROOT.issue(("other.example", "192.0.2.1")), "other names than the one you gave"),
        (ROOT.issue(left=PAST), "has expired"),
        (Authority().issue(), "Give the authority's certificate with --ca FILE"),
        (Authority("Another").issue(), "Give the authority's certificate with --ca FILE"),
        (Pair.self_signed(), "signed by itself"),
    ],
)
async def test_a_certificate_of_an_unknown_authority_is_recognised(
    tmp_path: Path, pair: Pair, sentence: str
) -> None:
    for host in ("127.0.0.1", "localhost"):
        with pytest.raises(Untrusted, match=sentence) as caught:
            await heads_seen(tmp_path, pair, given(tmp_path), host=host)
        assert caught.value.self_signed == (sentence == "signed by itself")


async def test_a_servers_own_certificate_may_be_given_as_authority(tmp_path: Path) -> None:
    pair = Pair.self_signed()
    trust = Trust(authorities=authorities(pair.write(tmp_path)[0]))
    assert await heads_seen(tmp_path, pair, trust)


def test_a_file_without_authority_is_named(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match=r"nowhere\.pem cannot be read: No such file"):
        authorities(tmp_path / "nowhere.pem")
    (tmp_path / "odd.pem").write_text("nonsense")
    with pytest.raises(Invalid, match=r"odd\.pem holds no certificate"):
        authorities(tmp_path / "odd.pem")
    assert authorities().verify_mode == ssl.CERT_REQUIRED
