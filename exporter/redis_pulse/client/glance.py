"""Sends commands on an idle connection, and reads their replies without a task.

Each target gets a short INFO once a second. A task, its deadline and its coroutines would take longer than to send the
command and to read the reply. So this is for usual cases only: the connection is ready, and hiredis reads the replies.
In any other case the caller uses a task.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from redis_pulse.client.pool import ConnectionPool
from redis_pulse.commands import Args
from redis_pulse.errors import AuthError

#: Receives the replies, with error replies as values, or None if not all of them came.
OnReplies = Callable[[list[Any] | None], None]


class Glance:
    """Commands that are sent at once on the idle connection of a pool. ``mapped`` turns error replies into values."""

    __slots__ = ("_connection", "_exchange", "_mapped", "_on_end", "_pool", "_replies", "_timer")

    def __init__(
        self,
        pool: ConnectionPool,
        commands: Sequence[Args],
        within: float,
        *,
        mapped: Callable[[Any], Any],
        on_end: OnReplies,
    ) -> None:
        self._pool = pool
        self._mapped = mapped
        self._on_end = on_end
        self._replies: list[Any] = []
        self._connection = pool.take_idle()
        self._timer = asyncio.get_running_loop().call_later(within, self._time_out)
        self._exchange = self._connection.exchange(commands, self._replies.append, self._end)

    def _time_out(self) -> None:
        self._exchange.leave()
        self._fail()

    def _end(self, left: int) -> None:
        """Handle the last reply, or the end of the connection, or a reply that hiredis must not read."""
        self._timer.cancel()
        if left:
            self._connection.note_unusual()
            self._fail()
            return
        replies = list(map(self._mapped, self._replies))
        self._connection.replied()
        # After a failed login, the next connection reads the credentials again.
        self._pool.give_back_soon(self._connection, close=any(isinstance(reply, AuthError) for reply in replies))
        self._on_end(replies)

    def _fail(self) -> None:
        self._pool.give_back_soon(self._connection, close=True)  # late replies may still arrive on it
        self._on_end(None)
