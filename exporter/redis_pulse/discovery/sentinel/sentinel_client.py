"""One Sentinel: asked in rounds, and listened to in between."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress

from redis_pulse import log
from redis_pulse.backoff import Backoff
from redis_pulse.circuit_breaker import CircuitBreaker
from redis_pulse.client import TargetClient
from redis_pulse.client.pubsub import PubSubConnection
from redis_pulse.config import BreakerSettings, TargetSettings
from redis_pulse.discovery.base import SourceContext
from redis_pulse.discovery.sentinel.replies import FIRST, SentinelReply, commands_for, master_in_message, parse_replies
from redis_pulse.errors import PermissionDeniedError, TargetError, UnknownCommandError
from redis_pulse.server_info import Target

#: What is sent, as an ACL names it: what docs/acl.md says of the Sentinels' own user.
COMMANDS = (
    *("ping", "client|setname", "subscribe", "sentinel|myid", "sentinel|masters", "sentinel|get-master-addr-by-name"),
    *("sentinel|slaves", "sentinel|sentinels", "sentinel|ckquorum"),
)
#: What is listened to: whatever changes what we say, and nothing else.
CHANNELS = (
    *("+switch-master", "+promoted-slave", "+sdown", "-sdown", "+odown", "-odown"),
    *("+slave", "+sentinel", "+monitor", "-monitor", "+reset-master"),
)
#: Seconds between two attempts to listen: the first is soon, and one that is denied is not tried again for long.
RELISTEN_BASE, RELISTEN_CAP, DENIED = 0.2, 5.0, 300.0
ANSWERING = ("Sentinel answers", "Sentinel does not answer")
LISTENING = ("listening to a Sentinel", "not listening to a Sentinel")


class _Unheard:
    """Nobody counts our connections to Sentinels: ``redis_sentinel_watch_up`` says enough."""

    def connected(self, seconds: float, error: TargetError | None) -> None:
        """Take no note."""

    def retried(self, operation: str) -> None:
        """Take no note."""


class SentinelClient:
    """Asks one Sentinel, and tells ``heard(master)`` of its messages (None: of whatever master).

    ``names`` are the masters to ask for; empty: all that it watches.
    """

    def __init__(
        self,
        source: str,
        settings: TargetSettings,
        around: SourceContext,
        names: Sequence[str],
        heard: Callable[[str | None], None],
    ) -> None:
        self._source = source
        self.settings = settings
        #: whether it answered when it was asked last; None before that
        self.up: bool | None = None
        #: why it did not
        self.error = ""
        #: its id, also while it is down; empty when it never told one, None when it never answered
        self.run_id: str | None = None
        #: whether it lets us listen; None before that was tried
        self.subscribed: bool | None = None
        self._context = around
        self._every = not names
        self._names = tuple(names)
        self._on_message = heard
        # It is asked at every round whatever happened: there are few Sentinels, and much hangs on them.
        breaker = CircuitBreaker(BreakerSettings(force="closed"), around.clock, on_change=lambda *_: None)
        self._client = TargetClient(
            Target.of(settings), breaker, _Unheard(), clock=around.clock, connect_limiter=around.connect_limiter
        )
        self._asking: asyncio.Task[SentinelReply | None] | None = None
        self._listening: asyncio.Task[None] | None = None
        self._log = log.get("discovery")
        self._noted = log.StateChangeFilter()

    @property
    def address(self) -> str:
        """``host:port``."""
        return self.settings.address

    def ask(self) -> "asyncio.Task[SentinelReply | None]":
        """Ask it, unless a question is still open: then that one's answer is waited for."""
        if self._asking is None or self._asking.done():
            self._asking = asyncio.get_running_loop().create_task(self._ask())
        if self._listening is None:
            self._listening = asyncio.get_running_loop().create_task(self._listen())
        return self._asking

    async def aclose(self) -> None:
        """Ask and listen no more."""
        tasks = [task for task in (self._asking, self._listening) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._client.aclose()

    async def _ask(self) -> SentinelReply | None:
        commands = self._client.commands("sentinel", self._context.clock() + self.settings.poll.timeout)
        try:
            view = parse_replies(await commands.pipeline([*FIRST, *commands_for(self._names)]), self._names)
            if self._every and view.names != self._names:
                self._names = view.names
                view = parse_replies(await commands.pipeline([*FIRST, *commands_for(self._names)]), self._names)
        except TargetError as error:
            self.up, self.error = False, f"{error.reason}: {error}"
            self._note(*ANSWERING, self.error)
            return None
        self.up, self.error, self.run_id = True, "", view.id
        self._note(*ANSWERING, "")
        return view

    async def _listen(self) -> None:
        backoff = Backoff(RELISTEN_BASE, RELISTEN_CAP)
        while True:
            subscription = PubSubConnection(self.settings, self._context.connect_limiter)
            try:
                await subscription.open(CHANNELS)
                backoff.reset()
                self.subscribed = True
                self._note(*LISTENING, "")
                self._on_message(None)  # of what happened meanwhile
                while True:
                    self._on_message(master_in_message(*await subscription.message()))
            except TargetError as error:
                self.subscribed = False
                denied = isinstance(error, PermissionDeniedError | UnknownCommandError)
                self._note(*LISTENING, f"{error.reason}: {error}")
            finally:
                with suppress(Exception):
                    await subscription.aclose()
            await asyncio.sleep(DENIED if denied else RELISTEN_BASE + backoff.next())

    def _note(self, well: str, ill: str, trouble: str) -> None:
        if not self._noted.changed(well, trouble):
            return
        if trouble:
            self._log.warning(ill, source=self._source, sentinel=self.address, error=trouble)
        else:
            self._log.info(well, source=self._source, sentinel=self.address)
