"""Who we say we are: CLIENT SETNAME, and CLIENT SETINFO where the server knows it.

They go out together with the first commands of a connection, so they cost no round trip, and no error of theirs counts.
What a server refused is not said again, or a user who may not do so would fill its ACL LOG. A proxy may hang up on a
command that it does not know: after two connections that ended before any answer, nothing is said any more.
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
#: The version of Redis that brought CLIENT SETINFO; Valkey has had it from the beginning.
_SINCE = (7, 2)
#: Connections in a row that ended without an answer to what we said first.
MAX_HANG_UPS = 2
_VERSION = re.compile(r"(\d{1,4})\.(\d{1,4})")


class ClientNaming:
    """What is said to one target."""

    def __init__(self) -> None:
        self._refused: set[str] = set()
        self._hung_up = 0
        self._knows_library = False
        self._took_library = False

    def learn(self, version: str) -> None:
        """Take note of the version of the server."""
        found = _VERSION.match(version)
        self._knows_library = found is not None and (int(found[1]), int(found[2])) >= _SINCE

    def commands(self) -> list[Args]:
        """Return what to say on each connection, once."""
        if self._hung_up >= MAX_HANG_UPS:
            return []
        # The version waits until the name was taken: a server that has no SETINFO answers one error then, not two.
        library = SET_LIBRARY[: 1 + self._took_library] if self._knows_library else ()
        return [args for args in (SET_NAME, *library) if args[1] not in self._refused]

    def record_reply(self, args: Args, error: TargetError | None) -> None:
        """Take note of the answer to one of them."""
        self._hung_up = 0
        if error is None and args in SET_LIBRARY:
            self._took_library = True
        if isinstance(error, PermissionDeniedError | UnknownCommandError):
            self._refused.add(str(args[1]))

    def record_hang_up(self) -> None:
        """Take note of a connection that ended before it answered any of them."""
        self._hung_up += 1
