"""Read the login of a target again for each connection, so that a rotated password file needs no restart.

The file is read in a thread. If the read does not end in time, the login of the last read is used. So a network file
system that hangs does not make a server look dead.

A login that expires is a token. All connections of a target share it, and it is renewed before it ends (``tokens``).
"""

import asyncio
import math
import random
from collections.abc import Callable
from typing import NamedTuple

from redis_pulse.blocking import FILES, BlockedError, NoThreadError
from redis_pulse.config import TargetSettings
from redis_pulse.errors import AuthError
from redis_pulse.file_descriptors import SHORTAGE_ERRNOS
from redis_pulse.tokens import RenewalError, RenewalReason, SharedToken, Token, TokenRegistry, connection_life

#: User name and password, each None if not set.
UserAndPassword = tuple[str | None, str | None]
#: Receives the reason of each renewal of a token that failed.
OnNotRenewed = Callable[[RenewalReason], None]

#: Seconds to wait for the file: once its content is known, and before that. Both are shorter than the deadline of
#: connecting. So a file that hangs does not look like a server that hangs.
REREAD_TIMEOUT, FIRST_READ_TIMEOUT = 0.25, 0.5
#: Seconds to wait for the renewal of a rejected token. A ping that waits for the connection has a second.
RENEWAL_WAIT = 0.5


class ServerLogin(NamedTuple):
    """What one connection logs in with. ``life`` is how many seconds the connection may serve."""

    username: str | None = None
    password: str | None = None
    token: Token | None = None
    life: float = math.inf


class Credentials:
    """The credentials of one target. Targets with the same source of tokens share its token."""

    def __init__(
        self,
        settings: TargetSettings,
        tokens: TokenRegistry | None = None,
        *,
        on_not_renewed: OnNotRenewed,
    ) -> None:
        self._settings = settings
        self._on_not_renewed = on_not_renewed
        #: the token of the target, or None if its login does not expire
        self.shared: SharedToken | None = None
        if settings.token_source is not None:
            self.shared = (tokens or TokenRegistry()).shared(settings.token_source)
            self.shared.listeners.add(self)
        is_known = settings.password_file is None and self.shared is None
        self._last: UserAndPassword | None = settings.credentials() if is_known else None

    @property
    def secret(self) -> str | None:
        """The password of the last read, or None. Reads no file."""
        return self._last[1] if self._last is not None else None

    @property
    def is_awaiting_first_token(self) -> bool:
        """Whether a login is not possible yet, because the first token is still on its way."""
        return self.shared is not None and self.shared.is_awaited

    def token_not_renewed(self, reason: RenewalReason) -> None:
        """Pass on a renewal that failed."""
        self._on_not_renewed(reason)

    async def read(self) -> ServerLogin:
        """Return the current login.

        Raises AuthError when no login is possible, and OSError when the exporter lacks descriptors or threads.
        """
        if self.shared is not None:
            try:
                return self._login_with(self.shared, await self.shared.get())
            except RenewalError as error:
                raise AuthError(f"there is no login: {error}") from None
        return ServerLogin(*await self._read_password())

    async def after_rejection(self, login: ServerLogin) -> ServerLogin | None:
        """Return a newer login than one that the server rejected, or None if it does not come soon.

        The token is renewed at once. A renewal that takes longer serves the next connection.
        """
        if self.shared is None or login.token is None:
            return None
        try:
            async with asyncio.timeout(RENEWAL_WAIT):
                token = await self.shared.renewed_after_rejection(login.token)
        except TimeoutError:
            return None
        return None if token is None else self._login_with(self.shared, token)

    def accepted(self, login: ServerLogin) -> None:
        """Record that the server accepted a login."""
        if self.shared is not None and login.token is not None:
            self.shared.accepted()

    def has_newer(self, login: ServerLogin) -> bool:
        """Whether a connection with another token would serve longer than one with this login."""
        token = None if self.shared is None else self.shared.valid_token()
        return token is not None and token != login.token

    def _login_with(self, shared: SharedToken, token: Token) -> ServerLogin:
        username = token.username or self._settings.username
        self._last = (username, token.password)
        life = connection_life(shared.settings.kind, token, shared.wall(), random.random())  # noqa: S311  # a jitter
        return ServerLogin(username, token.password, token, life)

    async def _read_password(self) -> UserAndPassword:
        settings = self._settings
        if settings.password_file is None:
            return settings.credentials()
        # The key contains the endpoint, because a password file of redis_exporter has one entry per endpoint.
        key = ("password", settings.password_file, settings.address, settings.username)
        within = FIRST_READ_TIMEOUT if self._last is None else REREAD_TIMEOUT
        try:
            self._last = await FILES.run(key, self._read_now, within=within)
        except BlockedError as error:
            if self._last is None:
                raise AuthError(f"cannot read the password file: {error.strerror}") from None
        except NoThreadError:
            raise
        except OSError as error:
            if error.errno in SHORTAGE_ERRNOS:
                raise  # not the fault of the file
            raise AuthError(f"cannot read the password file: {error.strerror or error}") from None
        return self._last

    def _read_now(self) -> UserAndPassword:
        # Stored here too: a read that ends too late serves the next connect.
        self._last = credentials = self._settings.credentials()
        return credentials
