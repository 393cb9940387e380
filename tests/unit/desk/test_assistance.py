"""A helper and a user at one desktop: who is told what, and how it ends."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from qvdnode.desk.assistance import CONSENT_LIMIT_S, Assistance, AssistanceDesk
from qvdnode.model.errors import Conflict, Forbidden, NotFound, Unauthenticated
from qvdnode.model.ids import TenantId, UserId, VmId
from qvdnode.model.principal import Principal
from tests.fakes.clock import ManualClock
from tests.unit.vm.fleet_world import settle

VM, ANA, HELPER = VmId(7), UserId(3), 11
USER = Principal(ANA, TenantId(1), "ana", "default")


class Page:
    """A page's end: what it was told and sent; `say` is what it says."""

    def __init__(self) -> None:
        self.told: list[dict[str, object]] = []
        self.pictures: list[bytes] = []
        self._said: asyncio.Queue[bytes | str | None] = asyncio.Queue()
        self.login_ended = asyncio.Event()

    def say(self, said: bytes | str | None) -> None:
        self._said.put_nowait(said)

    async def tell(self, message: str) -> None:
        self.told.append(json.loads(message))

    async def send(self, data: bytes) -> None:
        self.pictures.append(data)

    async def receive(self) -> bytes | str | None:
        return await self._said.get()

    async def logged_out(self) -> None:
        await self.login_ended.wait()
        raise Unauthenticated("Log in first.")

    def states(self) -> list[object]:
        return [message["type"] for message in self.told]


class Meeting:
    """One assistance with both pages."""

    def __init__(self, *, helps: bool) -> None:
        self.clock = ManualClock()
        self.desk = AssistanceDesk(self.clock)
        self.notes: list[str] = []
        self.helper, self.user = Page(), Page()
        self.one: Assistance = self.desk.ask(VM, ANA, HELPER, "ben", helps=helps, note=self._note)

    async def _note(self, action: str) -> None:
        self.notes.append(action)


@asynccontextmanager
async def meeting(*, helps: bool = False, agreed: bool = True) -> AsyncIterator[Meeting]:
    met = Meeting(helps=helps)
    async with asyncio.TaskGroup() as group:
        helping = group.create_task(met.desk.help(met.one.key, HELPER, met.helper))
        await settle()
        if agreed:
            _ = group.create_task(met.desk.share(met.one.key, USER, met.user))
            await settle()
        yield met
        met.helper.say(None)
        await helping


async def test_a_helper_sees_nothing_before_the_user_agreed() -> None:
    async with meeting(agreed=False) as met:
        assert met.helper.states() == ["asked"]
        assert met.notes == []
    assert met.helper.pictures == []


async def test_a_helper_sees_the_newest_picture_until_the_user_ends_it() -> None:
    async with meeting() as met:
        assert met.helper.states()[-1] == "shared"
        met.user.say(b"one")
        await settle()
        met.user.say(b"two")
        met.user.say(b"three")
        await settle()
        assert met.helper.pictures[0] == b"one"
        assert met.helper.pictures[-1] == b"three"
        met.user.say(None)
        await settle()
        assert met.helper.told[-1] == {"type": "ended", "reason": "the user ended it"}
        assert met.notes == ["assistance.begin", "assistance.end"]


@pytest.mark.parametrize("helps", [True, False])
async def test_keys_pass_only_from_one_who_may_help(helps: bool) -> None:
    async with meeting(helps=helps) as met:
        met.helper.say('{"type":"key","code":"KeyA","down":true}')
        await settle()
        passed = [message for message in met.user.told if message["type"] == "key"]
        assert passed == ([{"type": "key", "code": "KeyA", "down": True}] if helps else [])


async def test_the_end_of_the_users_session_and_of_the_helper_end_it() -> None:
    async with meeting() as met:
        met.desk.left(VmId(8))
        assert met.helper.states()[-1] == "shared"
        met.desk.left(VM)
        await settle()
        assert met.helper.told[-1]["reason"] == "the user's session ended"
        assert met.user.told[-1]["type"] == "ended"
    async with meeting() as met:
        met.helper.say(None)
        await settle()
        assert met.user.told[-1] == {"type": "ended", "reason": "the helper left"}


async def test_a_user_says_no_or_nothing() -> None:
    async with meeting(agreed=False) as met:
        met.desk.refuse(met.one.key, VmId(8))
        met.desk.refuse("other", VM)
        assert met.helper.states() == ["asked"]
        met.desk.refuse(met.one.key, VM)
        await settle()
        assert met.helper.told[-1]["reason"] == "the user said no"
    async with meeting(agreed=False) as met:
        met.clock.advance(CONSENT_LIMIT_S + 1)
        await settle()
        assert met.helper.told[-1]["reason"] == "the user did not answer"


@pytest.mark.parametrize("whose", ["helper", "user"])
async def test_it_ends_with_the_login_of_either(whose: str) -> None:
    async with meeting() as met:
        page = met.helper if whose == "helper" else met.user
        page.login_ended.set()
        await settle()
        reason = f"the {whose}'s login ended"
        assert met.helper.told[-1] == {"type": "ended", "reason": reason}
        assert met.user.told[-1] == {"type": "ended", "reason": reason}
        met.user.say(b"secret")
        await settle()
        assert met.helper.pictures == []


async def test_a_helper_whose_page_never_came_is_in_nobodys_way() -> None:
    met = Meeting(helps=False)
    met.clock.advance(CONSENT_LIMIT_S + 1)
    with pytest.raises(NotFound):
        await met.desk.share(met.one.key, USER, met.user)
    met.desk.ask(VM, ANA, HELPER, "eve", helps=False, note=met._note)


async def test_only_those_who_are_meant_take_part_and_one_at_a_time() -> None:
    met = Meeting(helps=False)
    with pytest.raises(Conflict):
        met.desk.ask(VM, ANA, HELPER, "eve", helps=False, note=met._note)
    with pytest.raises(Forbidden):
        await met.desk.help(met.one.key, HELPER + 1, met.helper)
    stranger = Principal(UserId(4), TenantId(1), "eve", "default")
    with pytest.raises(Forbidden):
        await met.desk.share(met.one.key, stranger, met.user)
    with pytest.raises(NotFound):
        await met.desk.share("other", USER, met.user)
