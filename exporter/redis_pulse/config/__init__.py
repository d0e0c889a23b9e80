"""Settings: models, sources, redaction, warnings. The only room that knows pydantic-settings and YAML.

``load`` reads the command line, the environment, ``.env``, a YAML or TOML file and a folder of secrets, and returns
``Loaded``, or raises ``ConfigError`` with every problem, its place and its cure. No message holds a secret.
"""

from redis_pulse.config.discovery_models import (
    ClusterSettings,
    Discovery,
    DnsSource,
    FileSource,
    HttpSource,
    SentinelSettings,
    SourceSettings,
)
from redis_pulse.config.file_sd import Group, read_groups
from redis_pulse.config.layered_source import Inherit, Inherited
from redis_pulse.config.loader import Loaded, Reload, load
from redis_pulse.config.models import (
    PING_BUCKETS,
    BreakerSettings,
    CanarySettings,
    Connection,
    Log,
    Poll,
    Probe,
    ProbeLogSettings,
    Slo,
    Tls,
    Web,
)
from redis_pulse.config.problems import ConfigError, Problem, nearest
from redis_pulse.config.resolver import CheckCollectors
from redis_pulse.config.settings import Settings
from redis_pulse.config.sharding import Shard
from redis_pulse.config.target import TargetSettings, no_entry
from redis_pulse.config.telemetry_path import telemetry_path_trouble
from redis_pulse.config.types import Options, Seconds, duration, label_trouble
from redis_pulse.config.url import Endpoint, ParsedUrl, parse_url
from redis_pulse.config.validation_errors import check_options

__all__ = [
    "PING_BUCKETS",
    "BreakerSettings",
    "CanarySettings",
    "CheckCollectors",
    "ClusterSettings",
    "ConfigError",
    "Connection",
    "Discovery",
    "DnsSource",
    "Endpoint",
    "FileSource",
    "Group",
    "HttpSource",
    "Inherit",
    "Inherited",
    "Loaded",
    "Log",
    "Options",
    "ParsedUrl",
    "Poll",
    "Probe",
    "ProbeLogSettings",
    "Problem",
    "Reload",
    "Seconds",
    "SentinelSettings",
    "Settings",
    "Shard",
    "Slo",
    "SourceSettings",
    "TargetSettings",
    "Tls",
    "Web",
    "check_options",
    "duration",
    "label_trouble",
    "load",
    "nearest",
    "no_entry",
    "parse_url",
    "read_groups",
    "telemetry_path_trouble",
]
