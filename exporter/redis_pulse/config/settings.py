"""All settings, as a user writes them: those at the top of the file, of modules, and of targets.

``Settings`` merges the data of all sources. The names of the fields are the keys of the file, and the descriptions are
published in docs/configuration.md.
"""

import re
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, InitSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict

from redis_pulse.config.adopt_models import ScrapeSettings
from redis_pulse.config.credentials import CredentialsSettings
from redis_pulse.config.discovery_models import BoolOrSettings, ClusterSettings, DiscoverySettings, SentinelSettings
from redis_pulse.config.models import (
    BreakerSettings,
    CanarySettings,
    ConnectionSettings,
    LogSettings,
    PollSettings,
    ProbeLogSettings,
    ProbeSettings,
    ProcessProbeSettings,
    SloSettings,
    StallFileSettings,
    StallSettings,
    TlsSettings,
    WebSettings,
)
from redis_pulse.config.sharding import shard_text
from redis_pulse.config.types import Collectors, Count, Labels, Options, RenamedCommands, TargetName
from redis_pulse.config.url import ParsedUrl, parse_listen, parse_url, telemetry_path_error

_NAMED_URL = re.compile(r"([A-Za-z0-9_.@-]+)=(.+)", re.DOTALL)


def named_url(text: str) -> tuple[str | None, ParsedUrl]:
    """Return the name, or None, and the parsed URL of ``url`` or ``name=url``.

    Raises ValueError with a message that does not repeat the text.
    """
    match = _NAMED_URL.fullmatch(text.strip())
    return (match[1], parse_url(match[2])) if match else (None, parse_url(text))


def split_urls(value: Any) -> Any:
    """Split a text into URLs. Return any other value unchanged."""
    if isinstance(value, str):
        # A password may contain a comma. With credentials, only a comma before a scheme separates URLs.
        separator = r",\s*(?=[A-Za-z0-9_.-]*=?[a-z]+://)" if "@" in value else r","
        return [part for part in re.split(separator, value) if part.strip()]
    return value


def _checked_url(value: SecretStr) -> SecretStr:
    parse_url(value.get_secret_value())
    return value


def _checked_named_url(value: SecretStr) -> SecretStr:
    named_url(value.get_secret_value())
    return value


def _listen(value: Any) -> Any:
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if isinstance(value, str):
        return str(parse_listen(value))
    return value


def _telemetry_path(value: Any) -> Any:
    if isinstance(value, str) and (error := telemetry_path_error(value)):
        raise ValueError(error)
    return value


def _text_or_path(value: Any) -> Any:
    if isinstance(value, str | Path) and str(value):
        return value
    raise ValueError("must be the path of a file")


Url = Annotated[SecretStr, AfterValidator(_checked_url)]
NamedUrl = Annotated[SecretStr, AfterValidator(_checked_named_url)]
PasswordFile = Annotated[Path, BeforeValidator(_text_or_path)]


class Module(Options):
    """A named set of settings that targets refer to."""

    username: str | None = Field(None, repr=False, description="ACL user to log in as. Default: the default user.")
    password: SecretStr | None = Field(None, description="Password. Prefer password_file.")
    password_file: PasswordFile | None = Field(
        None, description="File with the password. It is read at every connection, so the password can be rotated."
    )
    credentials: CredentialsSettings | None = Field(
        None, description="A login that expires, in place of a password: command, aws, azure or google."
    )
    labels: Labels = Field({}, description="Labels of the target, for service discovery.")
    tls: TlsSettings | None = Field(
        None, description="Overrides the group tls at the top of the file. Keys that are not set here come from there."
    )
    connection: ConnectionSettings | None = Field(None, description="Overrides the group connection.")
    probe: ProbeSettings | None = Field(None, description="Overrides the group probe.")
    poll: PollSettings | None = Field(None, description="Overrides the group poll.")
    breaker: BreakerSettings | None = Field(None, description="Overrides the group breaker.")
    canary: CanarySettings | None = Field(None, description="Overrides the group canary.")
    slo: SloSettings | None = Field(None, description="Overrides the group slo.")
    stalls: StallSettings | None = Field(None, description="Overrides the group stalls.")
    commands: RenamedCommands = Field(
        {}, description="Commands that the server has under another name (rename-command): {config: NAME}."
    )
    collectors: Collectors | None = Field(
        None, description="Collectors to run: their names, a set (default, lean), or a mapping from names to options."
    )


class TargetEntry(Module):
    """A target of the file. What it does not set comes from its module, then from the top of the file."""

    name: TargetName | None = Field(None, description="Value of the label target. Default: the address.")
    url: Url | None = Field(
        None,
        description="redis://, rediss://, valkey://, valkeys://, unix:// or host:port. Required without sentinel.",
    )
    cluster: Annotated[ClusterSettings | None, BoolOrSettings] = Field(
        None, description="true, or settings: every node of the cluster that url belongs to is a target."
    )
    sentinel: SentinelSettings | None = Field(
        None, description="Instead of url: the master that these Sentinels watch, and its replicas, are targets."
    )
    db: Count | None = Field(None, description="Number of the database to select. Default: that of the url, or 0.")
    module: str | None = Field(None, description="Name of the module to take settings from.")

    @model_validator(mode="after")
    def _has_server(self) -> Self:
        if self.url is None and self.sentinel is None:
            raise ValueError("has neither url nor sentinel")
        return self


class Settings(BaseSettings):
    """The settings of all sources, merged. ``redis_pulse.config.loader`` creates it and resolves the targets.

    pydantic-settings merges the sources and validates the result. It also parses ``.env``. Its own readers of the
    environment, the command line and the folder of secrets are not used, for two reasons. They do not keep the location
    of a value, and messages name it: ``redis-pulse.yaml:12``, ``--listen``, ``REDIS_URL``. Their errors keep the
    values, which may be secrets. The modules ``sources`` and ``file_reader`` therefore read the sources, and pass
    plain mappings in the argument ``sources``.
    """

    model_config = SettingsConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True, validate_default=True)

    listen: Annotated[str, BeforeValidator(_listen)] = Field(
        ":9121", description="Address and port of the HTTP server."
    )
    telemetry_path: Annotated[str, BeforeValidator(_telemetry_path)] = Field(
        "/metrics", description="Path of the metrics."
    )
    web: WebSettings = WebSettings()
    redis_url: Annotated[tuple[NamedUrl, ...], BeforeValidator(split_urls)] = Field(
        (), description="Targets without a file: URLs, or name=URL, separated by commas."
    )
    username: str | None = Field(None, repr=False, description="ACL user for the targets of redis_url.")
    password: SecretStr | None = Field(None, description="Password for the targets of redis_url.")
    password_file: PasswordFile | None = Field(
        None, description="File with the password for the targets of redis_url. It is read at every connection."
    )
    probe: ProcessProbeSettings = ProcessProbeSettings()
    poll: PollSettings = PollSettings()
    breaker: BreakerSettings = BreakerSettings()
    canary: CanarySettings = CanarySettings()
    slo: SloSettings = SloSettings()
    stalls: StallFileSettings = StallFileSettings()
    connection: ConnectionSettings = ConnectionSettings()
    tls: TlsSettings = TlsSettings()
    log: LogSettings = LogSettings()
    probe_log: ProbeLogSettings = ProbeLogSettings()
    debug: bool = Field(False, description="Log at level debug.")
    collectors: Collectors | None = Field(
        None, description="Collectors to run: their names, a set (default, lean), or a mapping from names to options."
    )
    modules: dict[str, Module] = Field({}, description="Named sets of settings that targets refer to.")
    targets: tuple[TargetEntry, ...] = Field((), description="The servers to monitor.")
    discovery: DiscoverySettings = DiscoverySettings()
    scrape: ScrapeSettings = ScrapeSettings()
    shard: Annotated[str | None, BeforeValidator(shard_text)] = Field(
        None,
        description="Part of the targets to monitor: 0/3 is the first of 3 parts. auto/3 takes the number from the "
        "pod name of a StatefulSet. Default: all targets.",
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Return one source for each mapping in the argument ``sources``, the strongest first."""
        assert isinstance(init_settings, InitSettingsSource)  # noqa: S101
        sources = init_settings.init_kwargs.pop("sources", ())
        return (init_settings, *(InitSettingsSource(settings_cls, init_kwargs=dict(data)) for data in sources))
