"""Settings: their models, their sources, and messages about problems.

Only this package imports pydantic-settings and YAML. ``load`` reads the command line, the environment, ``.env``, a YAML
or TOML file, and a folder of secrets. It returns ``LoadedConfig``, or raises ``ConfigError`` with every problem, its
location and a hint. No message contains a secret.
"""

from redis_pulse.config.discovery_models import (
    ClusterSettings,
    DiscoverySettings,
    DnsSourceSettings,
    FileSourceSettings,
    HttpSourceSettings,
    SentinelSettings,
    SourceSettings,
)
from redis_pulse.config.file_sd import TargetGroup, read_groups
from redis_pulse.config.layered_source import InheritedSettings
from redis_pulse.config.loader import ConfigLoader, LoadedConfig, load
from redis_pulse.config.models import (
    PING_BUCKETS,
    BreakerSettings,
    CanarySettings,
    ConnectionSettings,
    LogSettings,
    PollSettings,
    ProbeLogSettings,
    ProbeSettings,
    SloSettings,
    StallSettings,
    TlsSettings,
)
from redis_pulse.config.problems import ConfigError, Problem, closest_name, closest_names
from redis_pulse.config.settings import Settings
from redis_pulse.config.sharding import Shard
from redis_pulse.config.target import TargetSettings, no_entry
from redis_pulse.config.types import Options, Seconds, format_duration, label_error, parse_duration
from redis_pulse.config.url import Endpoint, ListenAddress, ParsedUrl, parse_listen, parse_url, telemetry_path_error
from redis_pulse.config.validation_errors import check_options

__all__ = [
    "PING_BUCKETS",
    "BreakerSettings",
    "CanarySettings",
    "ClusterSettings",
    "ConfigError",
    "ConfigLoader",
    "ConnectionSettings",
    "DiscoverySettings",
    "DnsSourceSettings",
    "Endpoint",
    "FileSourceSettings",
    "HttpSourceSettings",
    "InheritedSettings",
    "ListenAddress",
    "LoadedConfig",
    "LogSettings",
    "Options",
    "ParsedUrl",
    "PollSettings",
    "ProbeLogSettings",
    "ProbeSettings",
    "Problem",
    "Seconds",
    "SentinelSettings",
    "Settings",
    "Shard",
    "SloSettings",
    "SourceSettings",
    "StallSettings",
    "TargetGroup",
    "TargetSettings",
    "TlsSettings",
    "check_options",
    "closest_name",
    "closest_names",
    "format_duration",
    "label_error",
    "load",
    "no_entry",
    "parse_duration",
    "parse_listen",
    "parse_url",
    "read_groups",
    "telemetry_path_error",
]
