"""The whole of `qvd` for administrators, verb by verb, as a person or a script runs it."""

import asyncio
import json
import os
import re
import time
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from qvdnode.admin.parts import AdminParts
from qvdnode.cli.node_address import digest_of
from qvdnode.model.errors import NodeFull
from qvdnode.model.ids import NodeId, UserId, VmId
from qvdnode.runtime.supervise import Supervisor
from tests.fakes.fleet import FakeFleet
from tests.fakes.importer import BROKEN
from tests.integration.cli.qvd.conftest import Qvd
from tests.integration.cli.qvd.live_node import LiveNode
from tests.waiting import until

pytestmark = pytest.mark.postgres


async def done(qvd: Qvd, *words: str, stdin: str = "") -> Any:
    """What a command prints as JSON."""
    result = await qvd(*words, "--json", stdin=stdin)
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


async def furnish(qvd: Qvd, folder: Path) -> None:
    """An image, a flavour, a user and a VM of the default tenant."""
    tar = folder / "icewm.tar"
    tar.write_bytes(b"x" * 100_000)
    await done(qvd, "image", "import", "icewm", str(tar), "--note", "first")
    await done(qvd, "flavour", "create", "office", "--image", "icewm", "--memory-mib", "512")
    await done(qvd, "user", "create", "alice", "--password-stdin", stdin="hello\n")
    await done(qvd, "vm", "create", "desk", "--user", "alice", "--flavour", "office")


async def test_a_farm_is_furnished_by_names(logged_in: Qvd, tmp_path: Path) -> None:
    await furnish(logged_in, tmp_path)
    vm = await done(logged_in, "vm", "show", "alice/desk")
    assert (vm["user"], vm["flavour"], vm["state"]) == ("alice", "office", "stopped")
    assert await done(logged_in, "vm", "show", str(vm["id"])) == vm
    listed = await logged_in("vm", "list", "--user", "alice")
    assert "desk" in listed.stdout
    assert "STATE" in listed.stdout


async def test_tenants_are_made_blocked_and_deleted(logged_in: Qvd) -> None:
    await done(logged_in, "tenant", "create", "acme")
    assert (await done(logged_in, "tenant", "block", "acme"))["blocked"]
    assert not (await done(logged_in, "tenant", "unblock", "acme"))["blocked"]
    assert (await done(logged_in, "tenant", "show", "acme"))["name"] == "acme"
    assert [item["name"] for item in await done(logged_in, "tenant", "list")] == [
        "default",
        "acme",
    ]
    (only,) = await done(logged_in, "tenant", "list", "--name", "acme")
    assert only["name"] == "acme"
    assert (await logged_in("tenant", "delete", "acme", stdin="n\n")).exit_code == 1
    assert (await logged_in("tenant", "delete", "acme", stdin="y\n")).exit_code == 0
    assert (await logged_in("tenant", "show", "acme")).exit_code == 3


async def test_users_of_a_tenant(logged_in: Qvd) -> None:
    await done(logged_in, "tenant", "create", "acme")
    made = await logged_in("user", "create", "bob@acme", "--password-stdin", stdin="hello\n")
    assert made.exit_code == 0, made.output
    assert "hello" not in made.output
    changed = await logged_in("user", "password", "bob@acme", "--password-stdin", stdin="new\n")
    assert changed.exit_code == 0
    assert (await logged_in("user", "revoke-tokens", "bob@acme")).exit_code == 0
    assert (await done(logged_in, "user", "block", "bob@acme"))["blocked"]
    assert not (await done(logged_in, "user", "unblock", "bob@acme"))["blocked"]
    assert (await done(logged_in, "user", "show", "bob@acme"))["tenant"] == "acme"
    assert [item["login"] for item in await done(logged_in, "user", "list")] == ["bob"]
    found = await done(logged_in, "user", "list", "--tenant", "acme", "--login", "nobody")
    assert found == []
    assert (await logged_in("user", "delete", "bob@acme", "--yes")).exit_code == 0
    assert (await logged_in("user", "password", "bob", "--password-stdin")).exit_code == 2


async def test_flavours_are_changed(logged_in: Qvd, tmp_path: Path) -> None:
    await furnish(logged_in, tmp_path)
    words = ("--name", "office2", "--memory-mib", "2048", "--application", "xterm", "--no-egress")
    changed = await done(logged_in, "flavour", "change", "office", *words)
    assert (changed["memory_mib"], changed["application"]) == (2048, "xterm")
    assert changed["egress"] is False
    desktop = await done(logged_in, "flavour", "change", "office2", "--application", "")
    assert desktop["application"] is None
    assert (await done(logged_in, "flavour", "show", "office2"))["memory_mib"] == 2048
    assert len(await done(logged_in, "flavour", "list", "--tenant", "default")) == 1
    assert len(await done(logged_in, "flavour", "list", "--name", "office2")) == 1
    assert await done(logged_in, "flavour", "list", "--name", "office") == []
    assert (await logged_in("flavour", "delete", "office2", "--yes")).exit_code == 1
    assert (await logged_in("flavour", "change", "office2")).exit_code == 2


async def test_a_flavour_speaks_its_peoples_language(logged_in: Qvd, tmp_path: Path) -> None:
    await furnish(logged_in, tmp_path)
    words = ("--locale", "es_ES.UTF-8", "--timezone", "Europe/Madrid", "--shell", "/bin/sh")
    made = await done(logged_in, "flavour", "create", "oficina", "--image", "icewm", *words)
    assert (made["locale"], made["timezone"], made["shell"]) == words[1::2]
    changed = await done(logged_in, "flavour", "change", "oficina", "--locale", "de_DE.UTF-8")
    assert (changed["locale"], changed["timezone"]) == ("de_DE.UTF-8", "Europe/Madrid")


def with_session(folder: Path) -> None:
    """What `qvd image import` looks for in a folder before it sends it."""
    (folder / "usr/lib/qvd").mkdir(parents=True)
    for name in ("session", "init"):
        (folder / "usr/lib/qvd" / name).write_text("#!/bin/sh\n")


async def test_an_image_without_a_session_script_is_not_even_sent(
    logged_in: Qvd, tmp_path: Path
) -> None:
    refused = await logged_in("image", "import", "icewm", str(tmp_path))
    assert refused.exit_code == 1
    assert "/usr/lib/qvd/session is missing: --add-session puts ours in" in refused.stderr
    lacking = await logged_in("image", "import", "icewm", str(tmp_path), "--add-session")
    assert "apt-get install" in lacking.stderr
    assert (await logged_in("image", "show", "icewm")).exit_code == 3


async def test_images_have_versions(logged_in: Qvd, tmp_path: Path) -> None:
    await furnish(logged_in, tmp_path)
    folder = tmp_path / "root"
    with_session(folder)
    imported = await logged_in("image", "import", "icewm", str(folder))
    assert "version 2" in imported.stdout
    shown = await done(logged_in, "image", "show", "icewm")
    assert shown["head_version"] == 2
    assert [item["note"] for item in shown["versions"]] == ["first", ""]
    assert "first" in (await logged_in("image", "show", "icewm")).stdout
    assert (await done(logged_in, "image", "head", "icewm", "1"))["head_version"] == 1
    assert [item["name"] for item in await done(logged_in, "image", "list")] == ["icewm"]
    assert (await logged_in("image", "delete", "icewm", "--yes")).exit_code == 1


async def test_a_bad_image_is_refused_with_the_reason(logged_in: Qvd, tmp_path: Path) -> None:
    bad = tmp_path / "bad.tar"
    bad.write_bytes(BROKEN)
    result = await logged_in("image", "import", "icewm", str(bad))
    assert result.exit_code == 1
    assert "not a tar file" in result.stderr
    assert (await logged_in("image", "show", "icewm")).exit_code == 3
    odd = await logged_in("image", "import", "Bad Name", str(bad))
    assert odd.exit_code == 3
    assert odd.stderr.startswith("qvd: Nothing has that name: names are 1 to 64 lower-case")
    missing = await logged_in("image", "import", "icewm", str(tmp_path / "missing"))
    assert missing.exit_code == 2


async def test_a_root_that_cannot_be_read_is_not_the_nodes_fault(
    logged_in: Qvd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unreadable = await logged_in("image", "import", "icewm", "/proc/self/mem")
    assert (unreadable.exit_code, unreadable.stderr) == (
        2,
        "qvd: /proc/self/mem cannot be read: Input/output error.\n",
    )
    programs = tmp_path / "bin"
    programs.mkdir()
    with_session(tmp_path)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    # Before anything was answered, and when the node has begun to tell how it goes.
    for work in ("echo half an image", "head -c 5000000 /dev/zero; sleep 0.5"):
        (programs / "tar").write_text(f"#!/bin/sh\n{work}\necho no space >&2\nexit 2\n")
        (programs / "tar").chmod(0o755)
        failed = await logged_in("image", "import", "icewm", str(tmp_path))
        assert (failed.exit_code, failed.stderr) == (1, "qvd: tar failed: no space\n")
    assert (await logged_in("image", "show", "icewm")).exit_code == 3


async def test_a_guest_cannot_steer_the_terminal_through_its_log(
    logged_in: Qvd, tmp_path: Path, fleet: FakeFleet
) -> None:
    await furnish(logged_in, tmp_path)
    await done(logged_in, "vm", "start", "desk", "--wait")
    fleet.log = "first\n\x1b]52;c;ZXZpbA==\x07 \x1b[2J\n"
    assert (await logged_in("vm", "log", "desk")).stdout == "first\n?]52;c;ZXZpbA==? ?[2J\n"
    assert (await done(logged_in, "vm", "log", "desk"))["text"] == fleet.log


async def test_a_vm_is_started_looked_at_and_stopped(logged_in: Qvd, tmp_path: Path) -> None:
    await furnish(logged_in, tmp_path)
    assert (await done(logged_in, "vm", "start", "desk", "--wait"))["state"] == "running"
    assert "Session: Starting" in (await logged_in("vm", "log", "desk")).stdout
    assert not (await done(logged_in, "vm", "disconnect", "desk"))["disconnected"]
    assert "No client" in (await logged_in("vm", "disconnect", "desk")).stdout
    assert (await done(logged_in, "vm", "block", "desk"))["blocked"]
    assert not (await done(logged_in, "vm", "unblock", "desk"))["blocked"]
    assert (await done(logged_in, "vm", "stop", "desk", "--wait"))["state"] == "stopped"
    assert (await logged_in("vm", "delete", "desk", "--yes")).exit_code == 0
    assert (await logged_in("vm", "show", "desk")).exit_code == 3


async def test_a_full_node_is_unavailable(logged_in: Qvd, tmp_path: Path, fleet: FakeFleet) -> None:
    await furnish(logged_in, tmp_path)
    fleet.refuse(NodeFull("There is no memory left for it."))
    result = await logged_in("vm", "start", "desk", "--wait")
    assert result.exit_code == 5
    assert "no memory left" in result.stderr


async def test_what_happened_is_shown(logged_in: Qvd, tmp_path: Path) -> None:
    await furnish(logged_in, tmp_path)
    assert await done(logged_in, "session", "list", "--vm", "desk", "--user", "alice") == []
    assert (await done(logged_in, "node", "show"))["name"] == "node1"
    assert "limits memory total        16 GiB" in (await logged_in("node", "show")).stdout
    assert await done(logged_in, "node", "list") == []
    audit = await done(logged_in, "audit", "list", "--kind", "vm", "--actor", "tests")
    assert [item["action"] for item in audit] == ["vm.create"]
    assert len(await done(logged_in, "audit", "list", "--limit", "2")) == 2


async def test_a_node_that_is_gone_is_given_up(logged_in: Qvd, parts: AdminParts) -> None:
    seat = await parts.nodes.join("gone", "boot", "::1")
    alive = await logged_in("node", "fence", "gone", "--yes")
    assert alive.exit_code == 1
    assert "gone is not gone" in alive.output
    await parts.nodes.renew(seat.node_id, seat.epoch, -60)
    assert (await logged_in("node", "fence", "gone", stdin="n\n")).exit_code == 1
    assert await done(logged_in, "node", "fence", "gone", "--yes") == {"vms_stopped": 0}
    (shown,) = await done(logged_in, "node", "list")
    assert shown["state"] == "fenced"
    assert (await logged_in("node", "fence", "nobody", "--yes")).exit_code == 3


async def test_tokens_are_made_and_revoked(logged_in: Qvd) -> None:
    issued = await done(logged_in, "token", "create", "backup")
    assert issued["token"] == (issued["token"]).strip()
    assert "backup" in (await logged_in("token", "list")).stdout
    assert (await logged_in("token", "revoke", str(issued["id"]), "--yes")).exit_code == 0
    assert (await logged_in("token", "revoke", str(issued["id"]), "--yes")).exit_code == 3
    plain = await logged_in("token", "create", "other")
    assert len(plain.stdout.split()) == 1
    assert (await logged_in("token", "revoke", "other", "--yes")).exit_code == 0
    assert (await logged_in("token", "revoke", "other", "--yes")).exit_code == 3


async def test_wrong_usage_has_its_own_exit_code(logged_in: Qvd) -> None:
    assert (await logged_in("vm", "fly")).exit_code == 2
    odd = await logged_in("tenant", "create", "Not A Name")
    assert odd.exit_code == 2
    assert odd.stderr.startswith("qvd: name must be 1 to 64 lower-case letters")
    assert (await logged_in("user", "create", "@acme", "--password-stdin")).exit_code == 2
    assert (await logged_in("vm", "list", "--state", "flying")).exit_code == 2
    assert (await logged_in("user", "show", "alice@nowhere")).exit_code == 3


async def test_long_lists_come_whole_page_after_page(
    logged_in: Qvd, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("qvdnode.cli.api_client.PAGE", 2)
    for name in ("a", "b", "c", "d"):
        await done(logged_in, "tenant", "create", name)
    names = [item["name"] for item in await done(logged_in, "tenant", "list")]
    assert names == ["default", "a", "b", "c", "d"]
    assert len(await done(logged_in, "tenant", "list", "--limit", "3")) == 3


async def test_tables_show_names_local_times_and_sizes(
    logged_in: Qvd, tmp_path: Path, parts: AdminParts, monkeypatch: pytest.MonkeyPatch
) -> None:
    await furnish(logged_in, tmp_path)
    (vm,) = await done(logged_in, "vm", "list", "--flavour", "office", "--name", "desk")
    sessions = parts.records.sessions
    await sessions.opened(
        VmId(vm["id"]), UserId(vm["user_id"]), NodeId(99), source="10.0.0.9", client=None
    )
    (line,) = (await logged_in("session", "list")).stdout.splitlines()[1:]
    assert line.split()[1:5] == ["desk", "alice", "default", "99"]
    (line,) = (await logged_in("flavour", "list")).stdout.splitlines()[1:]
    assert line.split()[1:7] == ["office", "default", "icewm", "512", "MiB", "100"]
    monkeypatch.setenv("TZ", "Etc/GMT-5")
    time.tzset()
    (image,) = await done(logged_in, "image", "list")
    (line,) = (await logged_in("image", "list")).stdout.splitlines()[1:]
    monkeypatch.undo()
    time.tzset()
    there = datetime.fromisoformat(image["created_at"]) + timedelta(hours=5)
    assert there.strftime("%Y-%m-%d %H:%M:%S") in line


async def test_the_newest_are_shown_first_when_asked(logged_in: Qvd, tmp_path: Path) -> None:
    await furnish(logged_in, tmp_path)
    newest = await done(logged_in, "audit", "list", "--newest", "--limit", "1")
    assert [item["action"] for item in newest] == ["vm.create"]


async def test_a_whole_list_comes_newest_first_too(
    logged_in: Qvd, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("qvdnode.cli.api_client.PAGE", 2)
    for name in ("a", "b", "c", "d", "e"):
        await done(logged_in, "tenant", "create", name)
    listed = await done(logged_in, "audit", "list", "--newest")
    assert [item["detail"]["name"] for item in listed] == ["e", "d", "c", "b", "a"]


async def test_deleting_asks_and_says_how_not_to_be_asked(logged_in: Qvd) -> None:
    await done(logged_in, "tenant", "create", "acme")
    refused = await logged_in("tenant", "delete", "acme", stdin="n\n")
    assert (refused.exit_code, "Nothing was changed." in refused.stderr) == (1, True)
    unclear = await logged_in("tenant", "delete", "acme", stdin="perhaps\nno\n")
    assert (unclear.exit_code, "Answer y or n." in unclear.stderr) == (1, True)
    assert unclear.stdout == ""
    nobody = await logged_in("tenant", "delete", "acme")
    assert (nobody.exit_code, "--yes" in nobody.stderr) == (2, True)
    said = await done(logged_in, "tenant", "delete", "acme", "--yes")
    assert said == {"done": "Tenant acme is deleted."}


async def test_an_odd_image_name_leads_nowhere_else(logged_in: Qvd) -> None:
    acme = await done(logged_in, "tenant", "create", "acme")
    result = await logged_in("image", "delete", f"../tenants/{acme['id']}", "--yes")
    assert result.exit_code == 3
    assert (await logged_in("tenant", "show", "acme")).exit_code == 0


async def test_a_link_for_a_browser_and_its_login(logged_in: Qvd, node: LiveNode) -> None:
    assert (await logged_in("web", "whoami")).stdout == "tests\n"
    url = (await logged_in("web", "link")).stdout.strip()
    assert url.startswith(f"{node.url}/ui/login#")
    headers = {"Sec-Fetch-Site": "same-origin"}
    async with (
        aiohttp.ClientSession(headers=headers) as browser,
        browser.post(
            f"{node.url}/api/v1/session",
            json={"link": url.partition("#")[2]},
            ssl=aiohttp.Fingerprint(digest_of(node.fingerprint)),
        ) as answer,
    ):
        login = (await answer.json())["id"]
    (row,) = await done(logged_in, "web", "list")
    assert (row["id"], row["source"]) == (login, "127.0.0.1")
    assert (await logged_in("web", "revoke", str(login), stdin="n\n")).exit_code == 1
    await done(logged_in, "web", "revoke", str(login), "--yes")
    assert await done(logged_in, "web", "list") == []
    assert (await logged_in("web", "revoke", str(login), "--yes")).exit_code == 3


async def test_events_are_printed_as_they_happen(logged_in: Qvd, parts: AdminParts) -> None:
    async def change() -> None:
        await until(parts.events.is_wanted, limit_s=15)
        number = 0
        while True:  # the command may begin to listen after any of them
            number += 1
            await parts.accounts.tenants.create(f"t{number}")
            await asyncio.sleep(0.1)

    async with Supervisor("test") as tasks:
        _ = tasks.essential("change", change())
        one = await logged_in("events", "--kinds", "tenant", "--json")
        text = await logged_in("events", "--kinds", "tenant")
    fields = json.loads(one.stdout)
    assert (fields["kind"], fields["change"]) == ("tenant", "insert")
    assert re.fullmatch(r"\d\d:\d\d:\d\d  tenant \d+ insert\n", text.stdout)
    refused = await logged_in("events", "--kinds", "password")
    assert refused.exit_code == 2
    assert "tenant, user" in refused.stderr


async def test_search_and_figures_are_tables(logged_in: Qvd, tmp_path: Path) -> None:
    await furnish(logged_in, tmp_path)
    found = await logged_in("search", "al")
    assert re.search(r"user +\d+ +alice +default", found.stdout)
    assert (await done(logged_in, "search", "ice"))["images"][0]["name"] == "icewm"
    figures = await logged_in("node", "figures")
    assert re.search(r"1970-01-01 00:01:40 +5 +2 +1 +0 +1 +0 +12.5", figures.stdout)
    assert len((await done(logged_in, "node", "figures", "--since", "100"))["points"]) == 1
