"""The credentials of a target, read anew for each connection: a rotated password file needs no restart.

The file is read in a thread. When that does not end in time, the credentials that were read last are used: a secret on
a network file system that hangs must not make a server look dead.
"""

from redis_pulse.blocking import FILES, BlockedError, NoThreadError
from redis_pulse.config import TargetSettings
from redis_pulse.errors import AuthError
from redis_pulse.file_descriptors import LACKING

#: User name and password, as far as there are any.
Pair = tuple[str | None, str | None]

#: Seconds for which a file is waited for: while its content is known from before, and at first. Both are shorter than
#: the deadline of connecting, so that a file that hangs is not taken for a server that hangs.
KNOWN_DEADLINE, FIRST_DEADLINE = 0.25, 0.5


class Credentials:
    """The credentials of one target."""

    def __init__(self, settings: TargetSettings) -> None:
        self._settings = settings
        self._last: Pair | None = settings.credentials() if settings.password_file is None else None

    @property
    def secret(self) -> str | None:
        """The password that was read last; reads nothing."""
        return self._last[1] if self._last is not None else None

    async def read(self) -> Pair:
        """Return them as they are now. Raises AuthError when the file cannot be read, OSError for trouble of ours."""
        settings = self._settings
        if settings.password_file is None:
            return settings.credentials()
        # The endpoint is a part of the key: a file of redis_exporter has a password for each.
        key = ("password", settings.password_file, settings.address, settings.username)
        within = FIRST_DEADLINE if self._last is None else KNOWN_DEADLINE
        try:
            self._last = await FILES.run(key, self._read_now, within=within)
        except BlockedError as error:
            if self._last is None:
                raise AuthError(f"cannot read the password file: {error.strerror}") from None
        except NoThreadError:
            raise
        except OSError as error:
            if error.errno in LACKING:
                raise  # our own trouble, not the file's
            raise AuthError(f"cannot read the password file: {error.strerror or error}") from None
        return self._last

    def _read_now(self) -> Pair:
        self._last = read = self._settings.credentials()  # also when it comes too late: the next connect has it
        return read
