"""The settings of one target, with those of its module and the defaults merged in, and its password file."""

import errno
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import Field, SecretStr

from redis_pulse.blocking import read_regular_file
from redis_pulse.config.credentials import CredentialsSettings
from redis_pulse.config.models import (
    BreakerSettings,
    CanarySettings,
    ConnectionSettings,
    PollSettings,
    ProbeSettings,
    SloSettings,
    StallSettings,
    TlsSettings,
)
from redis_pulse.config.networks import PermittedAddresses
from redis_pulse.config.types import Options
from redis_pulse.config.url import Endpoint, parse_url

_WRONG_JSON = 'holds JSON of another form than {"redis://HOST:PORT": "PASSWORD"}'
#: Maximum size of a password file. That of redis_exporter has an entry for each server.
_MAX_BYTES = 10_000_000


class TargetSettings(Options):
    """The resolved settings of one target. A reload compares them to find changed targets.

    Secrets are ``SecretStr``, or paths of files that are read for each connection. So a rotated password needs no
    restart.
    """

    name: str
    endpoint: Endpoint
    db: int = 0
    labels: dict[str, str] = Field({})
    username: str | None = Field(None, repr=False)
    password: SecretStr | None = None
    password_file: Path | None = None
    #: Where a login that expires comes from, in place of a password.
    token_source: CredentialsSettings | None = None
    tls: TlsSettings = TlsSettings()
    connection: ConnectionSettings = ConnectionSettings()
    probe: ProbeSettings = ProbeSettings()
    poll: PollSettings = PollSettings()
    breaker: BreakerSettings = BreakerSettings()
    canary: CanarySettings = CanarySettings()
    slo: SloSettings = SloSettings()
    stalls: StallSettings = StallSettings()
    #: The names that the server has for renamed commands.
    commands: dict[str, SecretStr] = Field({})
    #: The addresses that its connections may have. None: all of them.
    permitted: PermittedAddresses | None = None
    #: Whether discovery found it as a node of a cluster or as a server of a Sentinel set.
    is_grouped: bool = False
    #: The options of each collector. None: the default set of collectors.
    collectors: dict[str, dict[str, Any]] | None = None

    @property
    def address(self) -> str:
        """``host:port`` or the path of the socket. Never a credential."""
        return self.endpoint.address

    @property
    def user(self) -> str:
        """The ACL user of the connections, as far as the settings name it."""
        return (self.token_source and self.token_source.user) or self.username or "default"

    @property
    def has_login(self) -> bool:
        """Whether connections log in."""
        return self.password is not None or self.password_file is not None or self.token_source is not None

    def __hash__(self) -> int:
        return hash((self.name, self.endpoint, self.db))

    def at(
        self, endpoint: Endpoint, name: str, labels: Mapping[str, str] | None = None, db: int | None = None
    ) -> "TargetSettings":
        """Return the same settings for another server, with ``labels`` added to its labels."""
        changes = {"name": name, "endpoint": endpoint, "labels": self.labels | dict(labels or {})}
        return self.model_copy(update=changes if db is None else changes | {"db": db})

    def grouped(self) -> "TargetSettings":
        """Return the same settings for a server of a cluster or of a Sentinel set."""
        return self.model_copy(update={"is_grouped": True})

    def credentials(self) -> tuple[str | None, str | None]:
        """Return user name and password. Read the password file now, because the password may have been rotated.

        A login that expires is not among the settings: ``redis_pulse.tokens`` gets it.

        Raises OSError if the password file cannot be read.
        """
        if self.password_file is not None:
            return self.username, read_password(self.password_file, self.endpoint)
        return self.username, None if self.password is None else self.password.get_secret_value()


class PasswordFileError(OSError):
    """A password file can be read, but is not understood. ``strerror`` is the reason."""

    def __init__(self, reason: str) -> None:
        super().__init__(errno.EINVAL, reason)

    def __str__(self) -> str:
        return str(self.strerror)


def read_password(file: Path, endpoint: Endpoint) -> str | None:
    """Return the password for an endpoint, or None: the whole file, without one newline at its end.

    The file may also be one of redis_exporter: a JSON object from URL to password. An endpoint that is missing in it
    has no password. Raises OSError if the file cannot be read, is not text, or is JSON of another form.
    """
    try:
        text = read_regular_file(file, _MAX_BYTES).decode("utf-8")
    except UnicodeDecodeError:
        raise PasswordFileError("names a file that is not UTF-8 text") from None
    if (passwords := _passwords_by_url(text)) is not None:
        return _password_of(passwords, endpoint)
    return text.removesuffix("\n").removesuffix("\r") or None


def no_entry(endpoint: Endpoint) -> str:
    """Return the message for a password file that has no entry for a server."""
    return f"the password file has no entry for {endpoint.address}"


def _passwords_by_url(text: str) -> dict[str, Any] | None:
    """Return the JSON object in a password file, or None if the file is a password.

    A password may begin with a brace. A JSON object is not a password, and a list with objects or lists is an error.
    """
    if not text.startswith(("{", "[")):
        return None
    try:
        content = json.loads(text)
    except ValueError:
        return None
    if isinstance(content, dict):
        return content
    if isinstance(content, list) and any(isinstance(item, dict | list) for item in content):
        raise PasswordFileError(_WRONG_JSON)
    return None


def _is_password(value: object) -> bool:
    return isinstance(value, str | int) and not isinstance(value, bool)


def _password_of(passwords: dict[str, Any], endpoint: Endpoint) -> str | None:
    for url, password in passwords.items():
        try:
            address = parse_url(url).endpoint.address
        except ValueError:
            continue
        if address == endpoint.address:
            if not _is_password(password):
                raise PasswordFileError(_WRONG_JSON)
            return str(password) or None
    if passwords and not any(map(_is_password, passwords.values())):
        raise PasswordFileError(_WRONG_JSON)
    return None
