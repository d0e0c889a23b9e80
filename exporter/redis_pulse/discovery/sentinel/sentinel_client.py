"""Query one Sentinel in rounds, and receive its messages between the rounds."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import NamedTuple

from redis_pulse import log
from redis_pulse.backoff import Backoff
from redis_pulse.circuit_breaker import CircuitBreaker
from redis_pulse.client import NullClientObserver, OperationCommands, TargetClient
from redis_pulse.client.pubsub import PubSubConnection
from redis_pulse.config import BreakerSettings, TargetSettings
from redis_pulse.discovery.base import SourceContext
from redis_pulse.discovery.sentinel.replies import (
    COMMON_COMMANDS,
    SentinelReply,
    commands_for,
    master_in_message,
    parse_replies,
)
from redis_pulse.errors import PermissionDeniedError, TargetError, UnknownCommandError

#: The commands that are sent, in the words of an ACL; docs/acl.md lists them for the user on the Sentinels.
COMMANDS = (
    *("ping", "client|setname", "subscribe", "sentinel|myid", "sentinel|masters", "sentinel|get-master-addr-by-name"),
    *("sentinel|slaves", "sentinel|sentinels", "sentinel|ckquorum"),
)
#: The channels of all events that change a target or a metric.
CHANNELS = (
    *("+switch-master", "+promoted-slave", "+sdown", "-sdown", "+odown", "-odown"),
    *("+slave", "+sentinel", "+monitor", "-monitor", "+reset-master"),
)
#: Seconds between two attempts to subscribe: at least the base, and more after each failure, up to the cap.
RESUBSCRIBE_BASE, RESUBSCRIBE_CAP = 0.2, 5.0
#: Seconds between two attempts to subscribe if the Sentinel denies the subscription.
RESUBSCRIBE_DENIED = 300.0


class _StateEvents(NamedTuple):
    """The log events of a state that a Sentinel enters and leaves."""

    entered: str
    left: str


REPLYING = _StateEvents("Sentinel answers", "Sentinel does not answer")
SUBSCRIBED = _StateEvents("listening to a Sentinel", "not listening to a Sentinel")


class SentinelClient:
    """Queries one Sentinel, and calls ``on_message`` for each of its messages.

    The argument is the name of the master, or None for a message that may concern any master. ``names`` are the masters
    to request. If empty, the client requests all masters that the Sentinel watches.
    """

    def __init__(
        self,
        source: str,
        settings: TargetSettings,
        context: SourceContext,
        names: Sequence[str],
        on_message: Callable[[str | None], None],
    ) -> None:
        self._source = source
        self.settings = settings
        #: whether the last query had a reply; None before the first query has ended
        self.up: bool | None = None
        #: why the last query failed
        self.error = ""
        #: kept while the Sentinel is down; empty if it never reported an id, None if it never replied
        self.run_id: str | None = None
        #: whether the subscription works; None before the first attempt has ended
        self.subscribed: bool | None = None
        self._context = context
        self._requests_all = not names
        self._names = tuple(names)
        self._on_message = on_message
        # Each round queries each Sentinel, so the breaker never opens. There are few Sentinels, and much depends on
        # them. The observer counts nothing, because ``redis_sentinel_watch_up`` reports enough.
        breaker = CircuitBreaker(BreakerSettings(force="closed"), context.clock, on_change=lambda *_: None)
        self._client = TargetClient(
            settings, breaker, NullClientObserver(), clock=context.clock, connect_limiter=context.connect_limiter
        )
        self._query_task: asyncio.Task[SentinelReply | None] | None = None
        self._subscribe_task: asyncio.Task[None] | None = None
        self._log = log.get("discovery")
        self._log_filter = log.StateChangeFilter()

    @property
    def address(self) -> str:
        """``host:port``."""
        return self.settings.address

    def query(self) -> "asyncio.Task[SentinelReply | None]":
        """Return the task of a query: the one still in progress, or else a new one.

        The task returns None if the Sentinel does not reply. The first call also subscribes.
        """
        loop = asyncio.get_running_loop()
        if self._query_task is None or self._query_task.done():
            self._query_task = loop.create_task(self._query())
        if self._subscribe_task is None:
            self._subscribe_task = loop.create_task(self._receive_messages())
        return self._query_task

    async def aclose(self) -> None:
        """Stop querying and receiving, and close the connections."""
        tasks = [task for task in (self._query_task, self._subscribe_task) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._client.aclose()

    async def _query(self) -> SentinelReply | None:
        commands = self._client.commands("sentinel", self._context.clock() + self.settings.poll.timeout)
        try:
            reply = await self._request(commands)
            if self._requests_all and reply.names != self._names:
                self._names = reply.names
                reply = await self._request(commands)
        except TargetError as error:
            self.up, self.error = False, f"{error.reason}: {error}"
            self._log_state(REPLYING, self.error)
            return None
        self.up, self.error, self.run_id = True, "", reply.run_id
        self._log_state(REPLYING)
        return reply

    async def _request(self, commands: OperationCommands) -> SentinelReply:
        replies = await commands.pipeline([*COMMON_COMMANDS, *commands_for(self._names)])
        return parse_replies(replies, self._names)

    async def _receive_messages(self) -> None:
        backoff = Backoff(RESUBSCRIBE_BASE, RESUBSCRIBE_CAP)
        while True:
            subscription = PubSubConnection(self.settings, self._context.connect_limiter)
            try:
                await subscription.open(CHANNELS)
                backoff.reset()
                self.subscribed = True
                self._log_state(SUBSCRIBED)
                self._on_message(None)  # any event may have been missed before the subscription
                while True:
                    self._on_message(master_in_message(*await subscription.message()))
            except TargetError as error:
                self.subscribed = False
                is_denied = isinstance(error, PermissionDeniedError | UnknownCommandError)
                self._log_state(SUBSCRIBED, f"{error.reason}: {error}")
            finally:
                with suppress(Exception):
                    await subscription.aclose()
            await asyncio.sleep(RESUBSCRIBE_DENIED if is_denied else RESUBSCRIBE_BASE + backoff.next())

    def _log_state(self, events: _StateEvents, error: str = "") -> None:
        """Log that a state was entered, or left because of ``error``; a repeated state is not logged."""
        if not self._log_filter.changed(events.entered, error):
            return
        if error:
            self._log.warning(events.left, source=self._source, sentinel=self.address, error=error)
        else:
            self._log.info(events.entered, source=self._source, sentinel=self.address)
