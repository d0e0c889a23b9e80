"""One target as the daemon sees it: everything is concrete, modules and defaults are merged in."""

import errno
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import Field, SecretStr

from redis_pulse.blocking import read_regular_file
from redis_pulse.config.models import (
    BreakerSettings,
    CanarySettings,
    ConnectionSettings,
    PollSettings,
    ProbeSettings,
    SloSettings,
    TlsSettings,
)
from redis_pulse.config.types import Options
from redis_pulse.config.url import Endpoint, parse_url

_OTHER_FORM = 'holds JSON of another form than {"redis://HOST:PORT": "PASSWORD"}'
#: Of a file of passwords: one of redis_exporter has an entry for each server.
_MAX_BYTES = 10_000_000


class TargetSettings(Options):
    """The resolved settings of one target; equal when nothing differs, which is how a reload knows what changed."""

    name: str
    endpoint: Endpoint
    db: int = 0
    labels: dict[str, str] = Field({})
    username: str | None = Field(None, repr=False)
    password: SecretStr | None = None
    password_file: Path | None = None
    tls: TlsSettings = TlsSettings()
    connection: ConnectionSettings = ConnectionSettings()
    probe: ProbeSettings = ProbeSettings()
    poll: PollSettings = PollSettings()
    breaker: BreakerSettings = BreakerSettings()
    canary: CanarySettings = CanarySettings()
    slo: SloSettings = SloSettings()
    #: Command → the name that the server knows it by.
    commands: dict[str, SecretStr] = Field({})
    #: Whether it was found as a node of a cluster or as a server of a Sentinel set.
    is_grouped: bool = False
    #: Name → options; None is the default set.
    collectors: dict[str, dict[str, Any]] | None = None

    @property
    def address(self) -> str:
        """``host:port`` or the path of the socket; never a credential."""
        return self.endpoint.address

    @property
    def user(self) -> str:
        """The user as which the server knows us."""
        return self.username or "default"

    def __hash__(self) -> int:
        return hash((self.name, self.endpoint, self.db))

    def at(
        self, endpoint: Endpoint, name: str, labels: Mapping[str, str] | None = None, db: int | None = None
    ) -> "TargetSettings":
        """Return the same settings for another server; ``labels`` are added to those that it has."""
        changes = {"name": name, "endpoint": endpoint, "labels": self.labels | dict(labels or {})}
        return self.model_copy(update=changes if db is None else changes | {"db": db})

    def grouped(self) -> "TargetSettings":
        """Return the same settings for a server that was found in a cluster or in a Sentinel set."""
        return self.model_copy(update={"is_grouped": True})

    def credentials(self) -> tuple[str | None, str | None]:
        """Return user name and password, reading the password file now, so that a rotated password is seen.

        Raises OSError when the password file cannot be read.
        """
        if self.password_file is not None:
            return self.username, read_password(self.password_file, self.endpoint)
        return self.username, None if self.password is None else self.password.get_secret_value()


class PasswordFileError(OSError):
    """A password file that can be read, and of which nothing can be made; ``strerror`` says why."""

    def __init__(self, why: str) -> None:
        super().__init__(errno.EINVAL, why)

    def __str__(self) -> str:
        return str(self.strerror)


def read_password(file: Path, endpoint: Endpoint) -> str | None:
    """Read the password for an endpoint: the whole file but for one newline at its end.

    A file of redis_exporter, a JSON object from URL to password, is understood too; an endpoint that it does not name
    has no password. Raises OSError when the file cannot be read, is not text, or is JSON of another form.
    """
    try:
        text = read_regular_file(file, _MAX_BYTES).decode("utf-8")
    except UnicodeDecodeError:
        raise PasswordFileError("names a file that is not UTF-8 text") from None
    if (by_url := _by_url(text)) is not None:
        return _password_of(by_url, endpoint)
    return text.removesuffix("\n").removesuffix("\r") or None


def no_entry(endpoint: Endpoint) -> str:
    """Say that a password file does not name a server."""
    return f"the password file has no entry for {endpoint.address}"


def _by_url(text: str) -> dict[str, Any] | None:
    """Return the JSON object that a password file is; None for a file that holds the password itself.

    A password may begin with a brace; an object or a list of objects is none.
    """
    if not text.startswith(("{", "[")):
        return None
    try:
        content = json.loads(text)
    except ValueError:
        return None
    if isinstance(content, dict):
        return content
    if isinstance(content, list) and any(isinstance(one, dict | list) for one in content):
        raise PasswordFileError(_OTHER_FORM)
    return None


def _is_password(value: object) -> bool:
    return isinstance(value, str | int) and not isinstance(value, bool)


def _password_of(by_url: dict[str, Any], endpoint: Endpoint) -> str | None:
    for url, password in by_url.items():
        try:
            address = parse_url(url).endpoint.address
        except ValueError:
            continue
        if address == endpoint.address:
            if not _is_password(password):
                raise PasswordFileError(_OTHER_FORM)
            return str(password) or None
    if by_url and not any(map(_is_password, by_url.values())):
        raise PasswordFileError(_OTHER_FORM)
    return None
