"""The name of this client on the server: CLIENT SETNAME, and CLIENT SETINFO if the server knows it.

The commands are sent together with the first commands of a connection, so they cost no round trip. Their errors are
ignored. A command that the server refused is not sent again: each refusal would fill the server's ACL LOG.

A proxy may close the connection at a command that it does not know. After two connections that were closed before any
reply, no name is sent.
"""

import re
from typing import Final

from redis_pulse import __version__
from redis_pulse.commands import Args
from redis_pulse.errors import PermissionDeniedError, TargetError, UnknownCommandError

NAME: Final = "redis-pulse"
SET_NAME: Final[Args] = ("CLIENT", "SETNAME", NAME)
SET_LIBRARY: Final[tuple[Args, ...]] = (
    ("CLIENT", "SETINFO", "LIB-NAME", NAME),
    ("CLIENT", "SETINFO", "LIB-VER", __version__),
)
#: The version of Redis that added CLIENT SETINFO. All versions of Valkey have it.
_SETINFO_SINCE = (7, 2)
#: After so many consecutive connections that were closed before any reply, no name is sent.
MAX_HANG_UPS = 2
_VERSION = re.compile(r"(\d{1,4})\.(\d{1,4})")


class ClientNaming:
    """The naming commands for one target."""

    def __init__(self) -> None:
        self._refused: set[str] = set()
        self._hang_ups = 0
        self._has_setinfo = False
        self._accepts_library = False
        self._commands: tuple[Args, ...] = (SET_NAME,)

    def set_server_version(self, version: str) -> None:
        """Remember whether a server of this version knows CLIENT SETINFO."""
        match = _VERSION.match(version)
        self._has_setinfo = match is not None and (int(match[1]), int(match[2])) >= _SETINFO_SINCE
        self._choose()

    def commands(self) -> tuple[Args, ...]:
        """Return the commands to send once on each connection."""
        return self._commands

    def _choose(self) -> None:
        # LIB-VER waits until LIB-NAME was accepted. A server without SETINFO then replies with one error, not two.
        library = SET_LIBRARY[: 1 + self._accepts_library] if self._has_setinfo else ()
        names = () if self._hang_ups >= MAX_HANG_UPS else (SET_NAME, *library)
        self._commands = tuple([args for args in names if args[1] not in self._refused])

    def record_reply(self, args: Args, error: TargetError | None) -> None:
        """Record the reply to one of the commands: None, or the error."""
        self._hang_ups = 0
        if error is None and args in SET_LIBRARY:
            self._accepts_library = True
        if isinstance(error, PermissionDeniedError | UnknownCommandError):
            self._refused.add(str(args[1]))
        self._choose()

    def record_hang_up(self) -> None:
        """Record a connection that was closed before any reply to the commands."""
        self._hang_ups += 1
        self._choose()
