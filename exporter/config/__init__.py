"""Settings: models, sources, redaction, warnings. The only room that knows pydantic-settings and YAML.

``load`` reads the command line, the environment, ``.env``, a YAML or TOML file and a folder of secrets, and returns
``Loaded``, or raises ``ConfigError`` with every problem, its place and its cure. No message holds a secret.
"""

from exporter.config.discovery import (
    ClusterSettings,
    Discovery,
    DnsSource,
    FileSource,
    HttpSource,
    SentinelSettings,
    SourceSettings,
)
from exporter.config.explain import check_options
from exporter.config.groups import Group, read_groups
from exporter.config.layers import Inherit, Inherited
from exporter.config.load import Loaded, Reload, load
from exporter.config.messages import ConfigError, Problem, nearest
from exporter.config.models import (
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
from exporter.config.paths import telemetry_path_trouble
from exporter.config.reference import SettingRow, rows
from exporter.config.resolve import CheckCollectors
from exporter.config.settings import Settings
from exporter.config.shard import Shard
from exporter.config.targets import TargetSettings, no_entry
from exporter.config.url import Endpoint, ParsedUrl, parse_url
from exporter.config.values import Options, Seconds, duration, label_trouble

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
    "SettingRow",
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
    "rows",
    "telemetry_path_trouble",
]
