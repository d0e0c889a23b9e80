"""Everything that can be set, as a person writes it: the daemon, the defaults, modules and targets."""

import re
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, InitSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict

from redis_pulse.config.discovery_models import BoolOrSettings, ClusterSettings, DiscoverySettings, SentinelSettings
from redis_pulse.config.models import (
    BreakerSettings,
    CanarySettings,
    ConnectionSettings,
    LogSettings,
    PollSettings,
    ProbeLogSettings,
    ProbeSettings,
    SloSettings,
    TlsSettings,
    WebSettings,
)
from redis_pulse.config.sharding import shard_text
from redis_pulse.config.types import Collectors, Count, Labels, Options, RenamedCommands, TargetName
from redis_pulse.config.url import ParsedUrl, parse_url, telemetry_path_error

_NAMED = re.compile(r"([A-Za-z0-9_.@-]+)=(.+)", re.DOTALL)
_LISTEN = re.compile(r"(?P<host>[^:\[\]/\s]*|\[[0-9A-Fa-f:.]+\]):(?P<port>\d{1,5})")


def named_url(text: str) -> tuple[str | None, ParsedUrl]:
    """Read ``url`` or ``name=url``; raises ValueError, whose message does not repeat the text."""
    match = _NAMED.fullmatch(text.strip())
    return (match[1], parse_url(match[2])) if match else (None, parse_url(text))


def split_urls(value: Any) -> Any:
    """Part a text into URLs; anything else stays as it is."""
    if isinstance(value, str):
        # A password may hold a comma, so with credentials only a comma before a scheme separates.
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
        value = f":{value}"
    if isinstance(value, str):
        if value.isascii() and value.isdigit():
            value = f":{value}"
        match = _LISTEN.fullmatch(value)
        if match is None or int(match["port"]) > 65535:
            raise ValueError("must be an address and a port such as :9121, 127.0.0.1:9121 or [::1]:9121")
    return value


def _telemetry_path(value: Any) -> Any:
    if isinstance(value, str) and (trouble := telemetry_path_error(value)):
        raise ValueError(trouble)
    return value


def _text_or_path(value: Any) -> Any:
    if isinstance(value, str | Path) and str(value):
        return value
    raise ValueError("must be the path of a file")


Url = Annotated[SecretStr, AfterValidator(_checked_url)]
NamedUrl = Annotated[SecretStr, AfterValidator(_checked_named_url)]
PasswordFile = Annotated[Path, BeforeValidator(_text_or_path)]


class Module(Options):
    """A named bundle of settings that targets refer to."""

    username: str | None = Field(None, repr=False, description="ACL user to log in as; the default user unless set.")
    password: SecretStr | None = Field(None, description="Password; better in a file, see password_file.")
    password_file: PasswordFile | None = Field(
        None, description="File with the password, read at every connection, so that it can be rotated."
    )
    labels: Labels = Field({}, description="Labels of the target, for service discovery.")
    tls: TlsSettings | None = Field(None, description="As the group tls; what is not set here comes from there.")
    connection: ConnectionSettings | None = Field(None, description="As the group connection.")
    probe: ProbeSettings | None = Field(None, description="As the group probe.")
    poll: PollSettings | None = Field(None, description="As the group poll.")
    breaker: BreakerSettings | None = Field(None, description="As the group breaker.")
    canary: CanarySettings | None = Field(None, description="As the group canary.")
    slo: SloSettings | None = Field(None, description="As the group slo.")
    commands: RenamedCommands = Field(
        {}, description="Commands that the server knows by another name (rename-command): {config: NAME}."
    )
    collectors: Collectors | None = Field(
        None, description="Names of the collectors to run, or a mapping from names to their options."
    )


class TargetEntry(Module):
    """A target as the file writes it; what it does not say comes from its module, then from the defaults."""

    name: TargetName | None = Field(None, description="Value of the label target; the address unless set.")
    url: Url | None = Field(
        None, description="redis://, rediss://, valkey://, valkeys://, unix:// or host:port; needed but with sentinel."
    )
    cluster: Annotated[ClusterSettings | None, BoolOrSettings] = Field(
        None, description="true, or settings: the target is every node of the cluster that url belongs to."
    )
    sentinel: SentinelSettings | None = Field(
        None, description="The target is the master that these Sentinels watch, and its replicas; instead of url."
    )
    db: Count | None = Field(None, description="Number of the database to select; the URL's, else 0.")
    module: str | None = Field(None, description="Name of the module to take settings from.")

    @model_validator(mode="after")
    def _names_a_server(self) -> Self:
        if self.url is None and self.sentinel is None:
            raise ValueError("has no url, and no sentinel instead")
        return self


class Settings(BaseSettings):
    """What was set, from all sources together. ``redis_pulse.config.loader`` makes it and resolves the targets."""

    model_config = SettingsConfigDict(
        extra="forbid", frozen=True, hide_input_in_errors=True, validate_default=True, env_prefix="REDIS_PULSE_"
    )

    listen: Annotated[str, BeforeValidator(_listen)] = Field(":9121", description="Address and port of the pages.")
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
        None, description="File with the password for the targets of redis_url, read at every connection."
    )
    probe: ProbeSettings = ProbeSettings()
    poll: PollSettings = PollSettings()
    breaker: BreakerSettings = BreakerSettings()
    canary: CanarySettings = CanarySettings()
    slo: SloSettings = SloSettings()
    connection: ConnectionSettings = ConnectionSettings()
    tls: TlsSettings = TlsSettings()
    log: LogSettings = LogSettings()
    probe_log: ProbeLogSettings = ProbeLogSettings()
    debug: bool = Field(False, description="Logs at level debug.")
    collectors: Collectors | None = Field(
        None, description="Names of the collectors to run, or a mapping from names to their options."
    )
    modules: dict[str, Module] = Field({}, description="Named bundles of settings that targets refer to.")
    targets: tuple[TargetEntry, ...] = Field((), description="The servers to watch.")
    discovery: DiscoverySettings = DiscoverySettings()
    shard: Annotated[str | None, BeforeValidator(shard_text)] = Field(
        None,
        description="The part of the targets to take, of so many: 0/3, or auto/3 in a StatefulSet; all unless set.",
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
        """Read ``layers``: mappings, the strongest first, from sources of our own that know the place of each value."""
        assert isinstance(init_settings, InitSettingsSource)  # noqa: S101
        layers = init_settings.init_kwargs.pop("layers", ())
        return (init_settings, *(InitSettingsSource(settings_cls, init_kwargs=dict(layer)) for layer in layers))
