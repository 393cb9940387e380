"""The type of a bare connection, which only the stubs know to be generic."""

from typing import TYPE_CHECKING, TypeAlias

import asyncpg
from asyncpg.transaction import Transaction

RawTransaction: TypeAlias = Transaction
if TYPE_CHECKING:
    RawConnection: TypeAlias = asyncpg.Connection[asyncpg.Record]
else:
    RawConnection = asyncpg.Connection
