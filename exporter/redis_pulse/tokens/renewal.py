"""One token for all connections that use the same source. It is renewed before it ends, off the event loop.

- A token is renewed at two thirds of its life, with jitter, and at once when a server rejects it.
- A renewal that fails is repeated with growing delays. The old token stays in use while it is valid.
- A failure is logged once, and its end too.
"""

import asyncio
import random
import weakref
from collections.abc import Callable
from functools import partial
from time import time
from typing import Protocol

from redis_pulse import log
from redis_pulse.backoff import Backoff
from redis_pulse.blocking import TOKENS, BlockedError, NoThreadError
from redis_pulse.config import CredentialsSettings
from redis_pulse.tokens.aws import AwsTokens
from redis_pulse.tokens.azure import AzureTokens
from redis_pulse.tokens.google import GoogleTokens
from redis_pulse.tokens.model import RenewalError, RenewalReason, Token, renewal_delay
from redis_pulse.tokens.program import run_program

#: Seconds before a failed renewal is repeated: the first delay and the longest. The same for rejected tokens.
RETRY_BASE, RETRY_CAP = 1.0, 60.0
#: Seconds beyond the deadline of a program, so that its thread can kill it.
_THREAD_GRACE = 1.0

#: Returns a new token, or raises RenewalError. It blocks, so it runs in a thread.
Fetch = Callable[[], Token]


class TokenListener(Protocol):
    """Is notified when a renewal fails."""

    def token_not_renewed(self, reason: RenewalReason) -> None:
        """Record a renewal that failed."""
        ...


class SharedToken:
    """The token of one source. It lasts as long as a client uses it."""

    def __init__(
        self,
        settings: CredentialsSettings,
        fetch: Fetch,
        *,
        wall: Callable[[], float] = time,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self.settings = settings
        self._fetch = fetch
        self.wall = wall
        self._jitter = jitter
        self._token: Token | None = None
        #: why the newest renewal failed; None after a success, and before the first renewal
        self.error: RenewalError | None = None
        #: those who want to know of failures
        self.listeners: weakref.WeakSet[TokenListener] = weakref.WeakSet()
        self._task: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._retry = Backoff(RETRY_BASE, RETRY_CAP, floor=RETRY_BASE, jitter=jitter)
        #: when the next renewal after a failure is due, by the clock of the event loop
        self._retry_at = 0.0
        self._after_rejection = Backoff(RETRY_BASE, RETRY_CAP, floor=RETRY_BASE, jitter=jitter)
        #: until then, a rejected token causes no further renewal
        self._rejection_pause_ends = 0.0
        self._log = log.get("tokens")

    @property
    def newest(self) -> Token | None:
        """The newest token, valid or not. None before the first one."""
        return self._token

    @property
    def is_awaited(self) -> bool:
        """Whether the first token is still on its way, and nothing has failed."""
        return self._token is None and self.error is None and self._task is not None

    @property
    def expires_at(self) -> float | None:
        """Unix time at which the newest token ends, or None if that is unknown."""
        return None if self._token is None else self._token.expires_at

    def valid_token(self) -> Token | None:
        """Return the newest token if it is valid now, or None."""
        return self._token if self._token is not None and self._token.is_valid(self.wall()) else None

    async def get(self) -> Token:
        """Return a valid token. Without one, wait for a renewal. Raises RenewalError."""
        if (token := self.valid_token()) is not None:
            return token
        if self._task is None and self.error is not None and asyncio.get_running_loop().time() < self._retry_at:
            raise self.error
        await self._wait_for_renewal()
        if (token := self.valid_token()) is not None:
            return token
        raise self.error or RenewalError("other", "the renewal was interrupted")

    async def renewed_after_rejection(self, token: Token) -> Token | None:
        """Return another token than this one, which a server rejected. Return None without one.

        The first rejection of a token starts a renewal at once. If the new one is rejected too, the next renewal waits.
        """
        now = asyncio.get_running_loop().time()
        if token == self._token and self._task is None and now >= self._rejection_pause_ends:
            self._rejection_pause_ends = now + self._after_rejection.next()
            await self._wait_for_renewal()
        elif self._task is not None:
            await self._wait_for_renewal()
        newest = self.valid_token()
        return newest if newest != token else None

    def accepted(self) -> None:
        """Record that a server accepted a token, so that the next rejection starts a renewal at once."""
        self._after_rejection.reset()

    async def _wait_for_renewal(self) -> None:
        """Wait until the renewal that runs has ended, or else start one. A caller that is cancelled does not end it."""
        if self._task is None:
            self._start()
        if self._task is not None:
            await asyncio.wait([self._task])

    def _start(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._renew())

    async def _renew(self) -> None:
        delay = RETRY_CAP
        try:
            token = await self._fetch_in_thread()
        except RenewalError as error:
            delay = self._failed(error)
        else:
            self._succeeded(token)
            delay = renewal_delay(token, self.wall(), self.settings.refresh_interval, self._jitter())
        finally:
            self._task = None
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(delay, _start_again, weakref.ref(self))

    async def _fetch_in_thread(self) -> Token:
        within = self.settings.timeout
        try:
            token = await TOKENS.run(("token", self.settings), self._fetch, within=within + _THREAD_GRACE)
        except BlockedError:
            raise RenewalError("timeout", f"no token within {within:g} s") from None
        except NoThreadError as error:
            raise RenewalError("other", str(error.strerror)) from None
        except RenewalError:
            raise
        except Exception as error:  # noqa: BLE001  # libraries of clouds raise many kinds; no text of theirs is shown
            raise RenewalError("other", f"the source of the token failed: {type(error).__name__}") from None
        if not token.is_valid(self.wall()):
            raise RenewalError("expired", "the new token has expired already")
        return token

    def _succeeded(self, token: Token) -> None:
        self._token = token
        self._retry.reset()
        if self.error is not None:
            self._log.info("the login is renewed again", source=self.settings.kind)
        self.error = None

    def _failed(self, error: RenewalError) -> float:
        """Record a failure, and return the delay of the next attempt."""
        if self.error is None:
            kept = self.valid_token() is not None
            self._log.warning(
                "the login cannot be renewed",
                source=self.settings.kind,
                reason=error.reason,
                error=str(error),
                old_login="still valid" if kept else "none",
            )
        self.error = error
        delay = self._retry.next()
        self._retry_at = asyncio.get_running_loop().time() + delay
        for listener in tuple(self.listeners):
            listener.token_not_renewed(error.reason)
        return delay


def _start_again(reference: "weakref.ref[SharedToken]") -> None:
    """Start a renewal, unless no client uses the token any more."""
    if (token := reference()) is not None:
        token._start()  # noqa: SLF001  # of this module


class TokenRegistry:
    """Finds the shared token of a source. Equal sources share one, whichever targets and modules have them."""

    def __init__(self, make_fetch: Callable[[CredentialsSettings], Fetch] | None = None) -> None:
        self._make_fetch = make_fetch or fetch_for
        self._tokens: weakref.WeakValueDictionary[CredentialsSettings, SharedToken] = weakref.WeakValueDictionary()

    def shared(self, settings: CredentialsSettings) -> SharedToken:
        """Return the token of a source. Nothing is requested before its first use."""
        token = self._tokens.get(settings)
        if token is None:
            token = self._tokens[settings] = SharedToken(settings, self._make_fetch(settings))
        return token


def fetch_for(settings: CredentialsSettings) -> Fetch:
    """Return the function that gets a token from a source."""
    if settings.aws is not None:
        return AwsTokens(settings.aws)
    if settings.azure is not None:
        return AzureTokens(settings.azure)
    if settings.google is not None:
        return GoogleTokens(settings.google)
    words = [word.get_secret_value() for word in settings.command or ()]
    return partial(run_program, words, settings.timeout)
