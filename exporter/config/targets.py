"""One target as the daemon sees it: everything is concrete, modules and defaults are merged in."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import Field, SecretStr

from exporter.config.models import BreakerSettings, CanarySettings, Connection, Poll, Probe, Slo, Tls
from exporter.config.url import Endpoint, parse_url
from exporter.config.values import Options


class TargetSettings(Options):
    """The resolved settings of one target; equal when nothing differs, which is how a reload knows what changed."""

    name: str
    endpoint: Endpoint
    db: int = 0
    labels: dict[str, str] = Field({})
    username: str | None = Field(None, repr=False)
    password: SecretStr | None = None
    password_file: Path | None = None
    tls: Tls = Tls()
    connection: Connection = Connection()
    probe: Probe = Probe()
    poll: Poll = Poll()
    breaker: BreakerSettings = BreakerSettings()
    canary: CanarySettings = CanarySettings()
    slo: Slo = Slo()
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


def read_password(file: Path, endpoint: Endpoint) -> str | None:
    """Read the password for an endpoint: the whole file but for one newline at its end.

    A file of redis_exporter, a JSON object from URL to password, is understood too; an endpoint that it does not name
    has no password. Raises OSError when the file cannot be read or is not text.
    """
    try:
        text = file.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise OSError("names a file that is not UTF-8 text") from None
    if text.startswith("{"):
        try:
            by_url = json.loads(text)
        except ValueError:
            by_url = None
        if isinstance(by_url, dict):
            return _password_of(by_url, endpoint)
    return text.removesuffix("\n").removesuffix("\r") or None


def _password_of(by_url: dict[str, Any], endpoint: Endpoint) -> str | None:
    for url, password in by_url.items():
        try:
            address = parse_url(url).endpoint.address
        except ValueError:
            continue
        if address == endpoint.address:
            return str(password) or None
    return None
