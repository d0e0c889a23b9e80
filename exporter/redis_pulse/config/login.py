"""The login that one layer of settings gives to a target."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from pydantic import SecretStr

from redis_pulse.config.credentials import CredentialsSettings
from redis_pulse.config.layered_source import SettingPath
from redis_pulse.config.settings import Module, Settings

#: The hint for two settings of which only one may be set.
KEEP_ONE = "keep one of the two"


class Login(NamedTuple):
    """A user name and a password, or the source of a login, that apply to a target, and their path."""

    username: str | None = None
    password: SecretStr | None = None
    password_file: Path | None = None
    credentials: CredentialsSettings | None = None
    path: SettingPath = ()

    @property
    def is_complete(self) -> bool:
        """Whether it has more than a user name."""
        return bool(self.password or self.password_file or self.credentials)


def login_of(settings: Settings | Module, path: SettingPath) -> Login:
    """Return the login that one layer sets. The top of the file has no ``credentials``."""
    credentials = settings.credentials if isinstance(settings, Module) else None
    return Login(settings.username, settings.password, settings.password_file, credentials, path)


def conflicts(login: Login) -> Iterator[tuple[str, str]]:
    """Yield the key and the message for each setting of a login that excludes another one."""
    if login.password and login.password_file:
        yield "password", "cannot be combined with password_file"
    if login.credentials:
        for key in ("password", "password_file"):
            if getattr(login, key):
                yield "credentials", f"cannot be combined with {key}"
