"""THE TABLE: every flag of redis_exporter 1.86, what does the same here, and what one should know.

The command and docs/migrating-from-redis-exporter.md are both made from it.
"""
# ruff: noqa: E501 - a row is one line

from typing import Any, NamedTuple

from redis_pulse.migrate import values
from redis_pulse.migrate.values import ConvertValue

#: The version whose flags these are.
VERSION = "1.86"


class Flag(NamedTuple):
    """One flag of redis_exporter.

    ``settings``: the settings that receive the converted value. Empty: this project has no counterpart.
    An option of a collector, such as ``collectors.keys.patterns``, is set only where that collector runs.
    ``convert``: turns the text of the flag into the value of the settings.
    ``enables``: the flag also makes the collector run.
    ``default_differs``: our default differs from redis_exporter's, so theirs is written even without the flag.
    ``remark``: what is not the same. ``protects``: without a counterpart, protected pages would be open.
    ``always``: the daemon always does what the flag turns on.
    """

    flag: str
    variable: str
    settings: tuple[str, ...] = ()
    convert: ConvertValue = values.text
    remark: str = ""
    default: str = ""
    is_switch: bool = False
    enables: bool = False
    default_differs: bool = False
    protects: bool = False
    always: bool = False


def _switch(
    flag: str, variable: str, *settings: str, convert: ConvertValue = values.true, default: str = "false", **others: Any
) -> Flag:
    return Flag(flag, variable, settings, convert, default=default, is_switch=True, **others)


_X = "REDIS_EXPORTER_"
_FRONT = "Pages are served over plain HTTP: put a reverse proxy with TLS in front, or listen on 127.0.0.1 and let an agent beside it scrape."
_AUTH = "Pages ask for no password and show none: put a reverse proxy in front, or keep the port to the network of Prometheus."
_SCAN = "A pass over a big database goes on over several polls and never blocks the server; `…_scan_progress_ratio` and `…_scan_age_seconds` say how complete and how old the values are."

# fmt: off
FLAG_TABLE: tuple[Flag, ...] = (
    # whom to ask
    Flag("redis.addr", "REDIS_ADDR", ("redis_url",), default="redis://localhost:6379", remark="One process watches as many targets as you name. A password in it is taken out, see redis.password. Empty means there that requests name the targets; here the file does."),
    Flag("redis.user", "REDIS_USER", ("username",)),
    Flag("redis.password", "REDIS_PASSWORD", ("password_file",), remark="Everybody on the host can read a command line. The password belongs into a file, which is read again at every connection."),
    Flag("redis.password-file", "REDIS_PASSWORD_FILE", ("password_file",), values.path, remark="A JSON object from URL to password is understood, and so is a file with nothing but the password."),
    Flag("connection-timeout", _X + "CONNECTION_TIMEOUT", ("connection.socket_connect_timeout", "connection.socket_timeout"), values.seconds, default="15s", remark="Beside it probe.timeout (1s) bounds a PING and poll.timeout (5s) a whole poll of a collector."),
    _switch("set-client-name", _X + "SET_CLIENT_NAME", default="true", remark="Our connections are named redis-pulse wherever the user may run CLIENT SETNAME; take +client|setname away from it to leave them unnamed."),
    _switch("is-cluster", _X + "IS_CLUSTER", remark="Not needed: each node reads its own keys and slots. cluster: true in a target watches every node of its cluster.", always=True),
    _switch("cluster-discover-hostnames", _X + "CLUSTER_DISCOVER_HOSTNAMES", remark="There is no /discover-cluster-nodes: cluster: true in a target finds the nodes, and /sd lists them; see cluster.prefer."),
    _switch("is-tile38", _X + "IS_TILE38", "collectors.tile38", convert=values.collector, enables=True),
    # TLS towards the server
    Flag("tls-ca-cert-file", _X + "TLS_CA_CERT_FILE", ("tls.ca_file",), values.path),
    Flag("tls-client-cert-file", _X + "TLS_CLIENT_CERT_FILE", ("tls.cert_file",), values.path),
    Flag("tls-client-key-file", _X + "TLS_CLIENT_KEY_FILE", ("tls.key_file",), values.path),
    _switch("skip-tls-verification", _X + "SKIP_TLS_VERIFICATION", "tls.cert_reqs", convert=values.no_verification, remark="Better name the authority in tls.ca_file: without it anybody in between can read the password."),
    # our own pages
    Flag("web.listen-address", _X + "WEB_LISTEN_ADDRESS", ("listen",), values.listen, default=":9121"),
    Flag("web.telemetry-path", _X + "WEB_TELEMETRY_PATH", ("telemetry_path",), values.telemetry_path, default="/metrics"),
    Flag("tls-server-cert-file", _X + "TLS_SERVER_CERT_FILE", remark=_FRONT, protects=True),
    Flag("tls-server-key-file", _X + "TLS_SERVER_KEY_FILE", remark=_FRONT, protects=True),
    Flag("tls-server-ca-cert-file", _X + "TLS_SERVER_CA_CERT_FILE", remark=_FRONT, protects=True),
    Flag("tls-server-min-version", _X + "TLS_SERVER_MIN_VERSION", default="TLS1.2", remark=_FRONT),
    Flag("basic-auth-username", _X + "BASIC_AUTH_USERNAME", remark=_AUTH, protects=True),
    Flag("basic-auth-password", _X + "BASIC_AUTH_PASSWORD", remark=_AUTH, protects=True),
    Flag("basic-auth-hash-password", _X + "BASIC_AUTH_HASH_PASSWORD", remark=_AUTH, protects=True),
    _switch("disable-scrape-endpoint", _X + "DISABLE_SCRAPE_ENDPOINT", remark="Always so: no request can make the exporter connect to a host that it names.", always=True),
    # what is logged
    Flag("log-level", _X + "LOG_LEVEL", ("log.level",), values.level, default="INFO"),
    Flag("log-format", _X + "LOG_FORMAT", ("log.format",), values.log_format, default="txt"),
    _switch("debug", _X + "DEBUG", "debug"),
    # names and labels
    Flag("namespace", _X + "NAMESPACE", default="redis", remark="Names always begin with redis_. A rule of metric_relabel_configs renames them in Prometheus; migrate-flags prints it."),
    _switch("append-instance-role-label", _X + "APPEND_INSTANCE_ROLE_LABEL", remark="A label that changes in a failover breaks every series in two. Join instead: redis_memory_used_bytes * on (instance, target) group_left (role) redis_instance_info."),
    _switch("redis-only-metrics", _X + "REDIS_ONLY_METRICS", remark="process_* and python_* of the exporter itself are always there, about 25 series. A rule of metric_relabel_configs drops them in Prometheus; migrate-flags prints it."),
    _switch("include-go-runtime-metrics", _X + "INCLUDE_GO_RUNTIME_METRICS", remark="There is no Go in it; process_* and python_* are always there."),
    # what is read besides INFO
    _switch("ping-on-connect", _X + "PING_ON_CONNECT", remark="Always so, and more: a PING every probe.interval (1s), as a histogram.", always=True),
    Flag("config-command", _X + "CONFIG_COMMAND", ("collectors.config",), values.config_command, default="CONFIG", remark="For a renamed CONFIG set commands: {config: NAME} of the target or its module."),
    _switch("include-config-metrics", _X + "INCL_CONFIG_METRICS", "collectors.config.include_config_metrics", "collectors.sentinel.include_config_metrics"),
    _switch("redact-config-metrics", _X + "REDACT_CONFIG_METRICS", default="true", remark="Always so, by pattern and not by a list of four names. What is hidden needlessly is named in the option show of the collector config.", always=True),
    _switch("include-system-metrics", _X + "INCL_SYSTEM_METRICS", remark="Always so: redis_total_system_memory_bytes is one series.", always=True),
    _switch("include-modules-metrics", _X + "INCL_MODULES_METRICS", "collectors.modules", convert=values.collector, enables=True),
    _switch("include-rdb-file-size-metric", _X + "INCL_RDB_FILE_SIZE_METRIC", "collectors.rdb_file", convert=values.collector, enables=True),
    _switch("include-sentinel-peer-info", _X + "INCL_SENTINEL_PEER_INFO", "collectors.sentinel.include_peer_info"),
    _switch("exclude-latency-histogram-metrics", _X + "EXCLUDE_LATENCY_HISTOGRAM_METRICS", "collectors.latency_histogram", convert=values.no_collector, remark="Not needed for servers before 7.0: what a server does not know is asked once."),
    _switch("include-metrics-for-empty-databases", _X + "INCL_METRICS_FOR_EMPTY_DATABASES", "collectors.info.empty_databases", convert=values.empty_databases, default="true"),
    _switch("export-client-list", _X + "EXPORT_CLIENT_LIST", "collectors.clients.per_client", enables=True, remark="The collector clients also sums clients up by user, name and library, which is all that most dashboards need: without per_client there is no series a client. With more than max_clients clients the list is not asked for."),
    _switch("export-client-port", _X + "EXPORT_CLIENT_PORT", "collectors.clients.include_port"),
    # keys
    Flag("check-keys", _X + "CHECK_KEYS", ("collectors.keys.patterns",), values.keys, enables=True, remark=_SCAN),
    Flag("check-single-keys", _X + "CHECK_SINGLE_KEYS", ("collectors.keys.keys",), values.keys, enables=True),
    _switch("disable-exporting-key-values", _X + "DISABLE_EXPORTING_KEY_VALUES", "collectors.keys.values", "collectors.keys.text_values", convert=values.inverted, default_differs=True, remark="Values of keys are not exported here unless asked for. text_values makes a label of every text: take it away unless a dashboard shows it."),
    _switch("skip-checkkeys-for-role-master", _X + "SKIP_CHECKKEYS_FOR_ROLE_MASTER", remark="Set roles: replicas in the collectors that read keys (keys, key_counts, key_groups, streams)."),
    Flag("count-keys", _X + "COUNT_KEYS", ("collectors.key_counts.patterns",), values.keys, enables=True, remark=_SCAN),
    Flag("check-key-groups", _X + "CHECK_KEY_GROUPS", ("collectors.key_groups.groups",), values.groups, enables=True, remark="Patterns of Lua become regular expressions of Python; one that has no like (%b, %f, a back reference) is left to you. A pattern that captures nothing names the group by all that it matches."),
    Flag("max-distinct-key-groups", _X + "MAX_DISTINCT_KEY_GROUPS", ("collectors.key_groups.max_distinct",), values.number, default="100"),
    Flag("check-keys-batch-size", _X + "CHECK_KEYS_BATCH_SIZE", ("collectors.keys.count", "collectors.key_counts.count", "collectors.key_groups.count", "collectors.streams.count"), values.batch, default="1000", remark="A SCAN of 1000 keys holds the server up ten times as long as one of 100, our default; at most 10000."),
    Flag("check-streams", _X + "CHECK_STREAMS", ("collectors.streams.patterns",), values.keys, enables=True, remark=_SCAN),
    Flag("check-single-streams", _X + "CHECK_SINGLE_STREAMS", ("collectors.streams.streams",), values.keys, enables=True),
    _switch("streams-exclude-consumer-metrics", _X + "STREAMS_EXCLUDE_CONSUMER_METRICS", "collectors.streams.per_consumer", convert=values.inverted, default_differs=True),
    # scripts, search
    Flag("script", _X + "SCRIPT", ("collectors.scripts.files",), values.paths, enables=True),
    _switch("lua-script-read-only", _X + "LUA_SCRIPT_READ_ONLY", "collectors.scripts.may_write", convert=values.inverted, default_differs=True, remark="Scripts are run by EVAL_RO here unless may_write says otherwise."),
    _switch("include-search-indexes-metrics", _X + "INCL_SEARCH_INDEXES_METRICS", "collectors.search_indexes", convert=values.collector, enables=True),
    Flag("check-search-indexes", _X + "CHECK_SEARCH_INDEXES", ("collectors.search_indexes.patterns",), values.pattern, default=".*"),
    _switch("version", "", remark="redis-pulse --version."),
    # newer than 1.86
    Flag("tls-server-name", _X + "TLS_SERVER_NAME", ("tls.server_name",)),
    _switch("exclude-slowlog-metrics", _X + "EXCLUDE_SLOWLOG_METRICS", "collectors.slowlog", convert=values.no_collector),
)
# fmt: on
#: Flags that came after VERSION.
NEWER = ("tls-server-name", "exclude-slowlog-metrics")
