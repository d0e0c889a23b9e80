"""The web configuration file of the Prometheus ecosystem: who may look at the pages, and how they are encrypted.

The format is that of exporter-toolkit, so a file of node_exporter works unchanged. ``bearer_token_file`` is our own
extension. A setting that we cannot honour is refused if it protects something. Otherwise it is accepted, with one
warning.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import BeforeValidator, Field, SecretStr, ValidationError, field_validator, model_validator

from redis_pulse.config.file_reader import read_file
from redis_pulse.config.go_tls_names import (
    CLIENT_AUTH_TYPES,
    CURVES,
    POST_QUANTUM_CURVE,
    TLS12_CIPHERS,
    TLS13_CIPHERS,
    TLS_VERSIONS,
)
from redis_pulse.config.layered_source import ConfigSource
from redis_pulse.config.problems import ConfigError, Problem, closest_name
from redis_pulse.config.types import Options, parse_seconds
from redis_pulse.config.validation_errors import problems_from

#: Response headers that the file may set, and their values if only some are valid. exporter-toolkit has the same list.
HEADERS: dict[str, tuple[str, ...]] = {
    "Strict-Transport-Security": (),
    "X-Content-Type-Options": ("nosniff",),
    "X-Frame-Options": ("deny", "sameorigin"),
    "X-XSS-Protection": (),
    "Content-Security-Policy": (),
}
#: The cost below which a bcrypt hash can be guessed too fast today.
MIN_COST = 10
#: Users and tokens that are compared with a login.
MAX_USERS = 1000
_BCRYPT_HASH = re.compile(r"\$2[abxy]\$(0[4-9]|[12]\d|3[01])\$[./A-Za-z0-9]{53}")
_HEADER_VALUE = re.compile(r"[\x20-\x7e]{0,4096}")
_MAX_BYTES = 1 << 20


def _named(value: Any, known: tuple[str, ...], what: str) -> str:
    if isinstance(value, str) and value in known:
        return value
    guess = closest_name(value, known) if isinstance(value, str) else None
    raise ValueError(f"is not {what}" + (f": did you mean {guess}?" if guess else f"; known: {', '.join(known)}"))


def _version(value: Any) -> str:
    return _named(value, TLS_VERSIONS, "a version of TLS")


def _cipher(value: Any) -> str:
    return _named(value, (*TLS12_CIPHERS, *TLS13_CIPHERS), "a cipher suite that is safe")


def _curve(value: Any) -> str:
    return _named(value, (*CURVES, POST_QUANTUM_CURVE), "a curve")


def _client_auth_type(value: Any) -> str:
    return "NoClientCert" if value == "" else _named(value, CLIENT_AUTH_TYPES, "a policy for client certificates")


def _nothing_as_default(value: Any) -> Any:
    # In YAML a key without a value is null. Go keeps the default then.
    return {} if value is None else value


def _nothing_as_empty(value: Any) -> Any:
    return () if value is None else value


def _users(value: Any) -> Any:
    return (
        {str(name): secret for name, secret in value.items()} if isinstance(value, dict) else _nothing_as_default(value)
    )


def _hash(value: Any) -> Any:
    text = value.get_secret_value() if isinstance(value, SecretStr) else value
    if not isinstance(text, str) or not _BCRYPT_HASH.fullmatch(text):
        raise ValueError("must be a bcrypt hash: `redis-pulse web-config hash` makes one of a password")
    return value


_Ciphers = Annotated[tuple[Annotated[str, BeforeValidator(_cipher)], ...], BeforeValidator(_nothing_as_empty)]
_Curves = Annotated[tuple[Annotated[str, BeforeValidator(_curve)], ...], BeforeValidator(_nothing_as_empty)]
_Users = Annotated[dict[str, Annotated[SecretStr, BeforeValidator(_hash)]], BeforeValidator(_users)]


class TlsServerConfig(Options):
    """The certificate of the pages, and which clients may connect."""

    cert: str | None = None
    key: SecretStr | None = None
    client_ca: str | None = None
    cert_file: Path | None = None
    key_file: Path | None = None
    client_ca_file: Path | None = None
    client_auth_type: Annotated[str, BeforeValidator(_client_auth_type)] = "NoClientCert"
    client_allowed_sans: Annotated[tuple[str, ...], BeforeValidator(_nothing_as_empty)] = ()
    min_version: Annotated[str, BeforeValidator(_version)] = "TLS12"
    max_version: Annotated[str, BeforeValidator(_version)] = "TLS13"
    cipher_suites: _Ciphers = ()
    prefer_server_cipher_suites: bool = True
    curve_preferences: _Curves = ()

    @property
    def is_empty(self) -> bool:
        """Whether nothing is set. The pages are plain HTTP then, as those of other exporters."""
        return not self.model_fields_set

    @property
    def requires_client(self) -> bool:
        """Whether a client must have a certificate that is checked."""
        return self.client_auth_type in ("RequireAndVerifyClientCert", "RequireAnyClientCert", "RequireClientCert")

    @property
    def checks_client(self) -> bool:
        """Whether the certificate of a client is checked, if it has one."""
        return self.requires_client or self.client_auth_type == "VerifyClientCertIfGiven"

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.is_empty:
            return self
        for name, text, file in (
            ("cert", self.cert, self.cert_file),
            ("key", self.key, self.key_file),
            ("client_ca", self.client_ca, self.client_ca_file),
        ):
            if text and file:
                raise ValueError(f"has {name} and {name}_file: keep one of the two")
            if not (text or file or name == "client_ca"):
                raise ValueError(f"has neither {name} nor {name}_file")
        self._check_client_policy()
        self._check_versions()
        return self

    def _check_client_policy(self) -> None:
        has_authority = bool(self.client_ca or self.client_ca_file)
        if has_authority and self.client_auth_type == "NoClientCert":
            raise ValueError(
                "has an authority for client certificates, but no client_auth_type: no client would be checked"
            )
        if self.client_allowed_sans and not self.checks_client:
            raise ValueError("has client_allowed_sans, which need client_auth_type: RequireAndVerifyClientCert")
        if self.client_auth_type in ("RequireAnyClientCert", "RequireClientCert") and not has_authority:
            raise ValueError(
                f"has client_auth_type: {self.client_auth_type} without client_ca_file. Anyone can make such a "
                "certificate, and it cannot be required here: use RequireAndVerifyClientCert"
            )

    def _check_versions(self) -> None:
        if TLS_VERSIONS.index(self.min_version) > TLS_VERSIONS.index(self.max_version):
            raise ValueError("has a min_version above its max_version")
        if self.max_version in ("TLS10", "TLS11"):
            raise ValueError(f"has max_version: {self.max_version}, which is broken: use TLS12 or TLS13")
        if self.max_version == "TLS12" and self.cipher_suites and not set(self.cipher_suites) & TLS12_CIPHERS.keys():
            raise ValueError("has only cipher suites of TLS 1.3, but max_version: TLS12")

    def warnings(self) -> list[str]:
        """Return what is accepted and has no effect, or another one."""
        found = []
        if self.min_version in ("TLS10", "TLS11"):
            found.append(f"min_version {self.min_version} means TLS12: older versions are broken")
        if "prefer_server_cipher_suites" in self.model_fields_set:
            found.append("prefer_server_cipher_suites has no effect: the server always prefers its own order")
        if self.client_auth_type == "RequestClientCert":
            found.append(
                "client_auth_type RequestClientCert means NoClientCert: such a certificate would not be checked"
            )
        if self.client_auth_type in ("RequireAnyClientCert", "RequireClientCert"):
            found.append(f"client_auth_type {self.client_auth_type} means RequireAndVerifyClientCert")
        return found


class HttpServerConfig(Options):
    """What every response has."""

    http2: bool | None = None
    headers: Annotated[dict[str, str], BeforeValidator(_nothing_as_default)] = Field({})

    @field_validator("headers")
    @classmethod
    def _known_headers(cls, headers: dict[str, str]) -> dict[str, str]:
        by_lower = {name.lower(): name for name in HEADERS}
        for name, value in headers.items():
            known = by_lower.get(name.lower())
            if known is None:
                raise ValueError(f"has a header that cannot be set; known: {', '.join(HEADERS)}")
            if value and HEADERS[known] and value.lower() not in HEADERS[known]:
                raise ValueError(f"has the header {known}, which must be {' or '.join(HEADERS[known])}")
            if not _HEADER_VALUE.fullmatch(value):
                raise ValueError(f"has the header {known}, which must be one line of ASCII")
        return headers


class RateLimitConfig(Options):
    """How many requests an address may send: one per interval, and so many at once."""

    interval: Annotated[float, BeforeValidator(parse_seconds)] = 0.0
    burst: int = Field(0, ge=0)

    @model_validator(mode="after")
    def _has_burst(self) -> Self:
        if self.interval and not self.burst:
            raise ValueError("has an interval and no burst, so every request would be refused: set burst to 1 or more")
        return self


class WebConfig(Options):
    """A web configuration file."""

    tls_server_config: Annotated[TlsServerConfig, BeforeValidator(_nothing_as_default)] = TlsServerConfig()
    http_server_config: Annotated[HttpServerConfig, BeforeValidator(_nothing_as_default)] = HttpServerConfig()
    basic_auth_users: _Users = Field({}, max_length=MAX_USERS)
    auth_excluded_paths: Annotated[tuple[str, ...], BeforeValidator(_nothing_as_empty)] = ()
    rate_limit: Annotated[RateLimitConfig, BeforeValidator(_nothing_as_default)] = RateLimitConfig()
    bearer_token_file: Path | None = None

    @field_validator("basic_auth_users")
    @classmethod
    def _names_fit(cls, users: dict[str, SecretStr]) -> dict[str, SecretStr]:
        if any(":" in name or not name.isprintable() or not name for name in users):
            raise ValueError("has a name with a colon or a control character, or an empty one: no client could send it")
        return users

    def warnings(self) -> list[str]:
        """Return what is accepted and has no effect, or is weak. No text has a secret."""
        found = [] if self.tls_server_config.is_empty else self.tls_server_config.warnings()
        if self.http_server_config.http2:
            found.append("http2 has no effect: the pages speak HTTP/1.1")
        if "basic_auth_users" in self.model_fields_set and not self.basic_auth_users:
            found.append("basic_auth_users names no user: the pages need no password")
        costs = {name: bcrypt_cost(secret.get_secret_value()) for name, secret in self.basic_auth_users.items()}
        if low := [name for name, cost in costs.items() if cost < MIN_COST]:
            found.append(f"the bcrypt cost of {_some(low)} is low: use {MIN_COST} or more")
        has_login = bool(self.basic_auth_users or self.bearer_token_file)
        if has_login and self.tls_server_config.is_empty:
            found.append("a login without TLS: everyone on the path can read the password")
        return found


def _some(names: list[str]) -> str:
    return ", ".join(names[:5]) + (", …" if len(names) > 5 else "")


def bcrypt_cost(text: str) -> int:
    """Return the cost of a bcrypt hash. One more doubles the time of a verification."""
    return int(text[4:6])


@dataclass(frozen=True, slots=True)
class ParsedWebConfig:
    """A web configuration file that is valid by itself. The files that it names are not read yet."""

    config: WebConfig
    source: ConfigSource

    def locate(self, *path: str) -> str:
        """Return the location of a setting, as messages show it."""
        return self.source.location(path)


def parse_web_config(data: bytes, path: Path, *, shown: str) -> ParsedWebConfig:
    """Return the content of a web configuration file. Raises ConfigError with every problem and its location.

    Relative paths in it are relative to its own folder. ``shown`` is its name in messages.
    """
    try:
        source = read_file(path, shown=shown, data=data)
    except ConfigError as error:
        raise ConfigError([_without_targets(problem) for problem in error.problems]) from None
    problems = []
    try:
        return ParsedWebConfig(WebConfig.model_validate(source.data), source)
    except ValidationError as error:
        problems = problems_from(error, [source], WebConfig)
    # Outside of the except block, because the context of an exception would hold the values.
    raise ConfigError(problems)


def _without_targets(problem: Problem) -> Problem:
    """Return a problem without the hint to write a target. This file has none."""
    hint = "without TLS and without a login, leave out web.config_file" if "target" in problem.hint else problem.hint
    return Problem(problem.location, problem.message, hint)
