"""Read the credentials of a target again for each connection, so that a rotated password file needs no restart.

The file is read in a thread. If the read does not end in time, the credentials of the last read are used. So a network
file system that hangs does not make a server look dead.
"""

from redis_pulse.blocking import FILES, BlockedError, NoThreadError
from redis_pulse.config import TargetSettings
from redis_pulse.errors import AuthError
from redis_pulse.file_descriptors import SHORTAGE_ERRNOS

#: User name and password, each None if not set.
UserAndPassword = tuple[str | None, str | None]

#: Seconds to wait for the file: once its content is known, and before that. Both are shorter than the deadline of
#: connecting. So a file that hangs does not look like a server that hangs.
REREAD_TIMEOUT, FIRST_READ_TIMEOUT = 0.25, 0.5


class Credentials:
    """The credentials of one target."""

    def __init__(self, settings: TargetSettings) -> None:
        self._settings = settings
        self._last: UserAndPassword | None = settings.credentials() if settings.password_file is None else None

    @property
    def secret(self) -> str | None:
        """The password of the last read, or None. Reads no file."""
        return self._last[1] if self._last is not None else None

    async def read(self) -> UserAndPassword:
        """Return the current credentials.

        Raises AuthError when the file cannot be read, and OSError when the exporter lacks descriptors or threads.
        """
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
