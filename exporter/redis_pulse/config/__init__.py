"""Settings: their models, their sources, and messages about problems.

Only this package imports pydantic-settings and YAML. ``load`` reads the command line, the environment, ``.env``, a YAML
or TOML file, and a folder of secrets. It returns ``LoadedConfig``, or raises ``ConfigError`` with every problem, its
location and a hint. No message contains a secret.
"""

from redis_pulse.config.adopt_models import AdoptRules, AdoptSettings
from redis_pulse.config.bearer_token import read_bearer_token
from redis_pulse.config.credentials import (
    AwsSettings,
    AzureSettings,
    CredentialsSettings,
    GoogleSettings,
    TokenSourceKind,
)
from redis_pulse.config.discovery_models import (
    ClusterSettings,
    DiscoverySettings,
    DnsSourceSettings,
    FileSourceSettings,
    HttpSourceSettings,
    SentinelSettings,
    SourceSettings,
)
from redis_pulse.config.effective import EffectiveValue, effective_text
from redis_pulse.config.file_reader import parse_yaml
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
    ProcessProbeSettings,
    SloSettings,
    StallSettings,
    TlsSettings,
    WebSettings,
)
from redis_pulse.config.problems import ConfigError, Problem, closest_name, closest_names
from redis_pulse.config.settings import Settings
from redis_pulse.config.sharding import Shard
from redis_pulse.config.shared_options import SharedOptions
from redis_pulse.config.target import TargetSettings, no_entry
from redis_pulse.config.types import Options, Seconds, format_duration, label_error, parse_duration
from redis_pulse.config.url import (
    Endpoint,
    ListenAddress,
    ParsedUrl,
    has_credentials,
    parse_listen,
    parse_url,
    telemetry_path_error,
)
from redis_pulse.config.validation_errors import check_options
from redis_pulse.config.web_config import (
    MIN_COST,
    HttpServerConfig,
    ParsedWebConfig,
    RateLimitConfig,
    TlsServerConfig,
    WebConfig,
    bcrypt_cost,
    parse_web_config,
)

__all__ = [
    "MIN_COST",
    "PING_BUCKETS",
    "AdoptRules",
    "AdoptSettings",
    "AwsSettings",
    "AzureSettings",
    "BreakerSettings",
    "CanarySettings",
    "ClusterSettings",
    "ConfigError",
    "ConfigLoader",
    "ConnectionSettings",
    "CredentialsSettings",
    "DiscoverySettings",
    "DnsSourceSettings",
    "EffectiveValue",
    "Endpoint",
    "FileSourceSettings",
    "GoogleSettings",
    "HttpServerConfig",
    "HttpSourceSettings",
    "InheritedSettings",
    "ListenAddress",
    "LoadedConfig",
    "LogSettings",
    "Options",
    "ParsedUrl",
    "ParsedWebConfig",
    "PollSettings",
    "ProbeLogSettings",
    "ProbeSettings",
    "Problem",
    "ProcessProbeSettings",
    "RateLimitConfig",
    "Seconds",
    "SentinelSettings",
    "Settings",
    "Shard",
    "SharedOptions",
    "SloSettings",
    "SourceSettings",
    "StallSettings",
    "TargetGroup",
    "TargetSettings",
    "TlsServerConfig",
    "TlsSettings",
    "TokenSourceKind",
    "WebConfig",
    "WebSettings",
    "bcrypt_cost",
    "check_options",
    "closest_name",
    "closest_names",
    "effective_text",
    "format_duration",
    "has_credentials",
    "label_error",
    "load",
    "no_entry",
    "parse_duration",
    "parse_listen",
    "parse_url",
    "parse_web_config",
    "parse_yaml",
    "read_bearer_token",
    "read_groups",
    "telemetry_path_error",
]
