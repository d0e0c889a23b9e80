"""All flags of redis_exporter 1.86, the settings of redis-pulse that do the same, and what differs.

The command ``migrate-flags`` and docs/migrating-from-redis-exporter.md both use this table.
"""
# ruff: noqa: E501 - a flag is one line

from typing import Any, NamedTuple

from redis_pulse.migrate import values
from redis_pulse.migrate.values import ConvertValue

#: The version whose flags these are.
VERSION = "1.86"


class Flag(NamedTuple):
    """One flag of redis_exporter.

    ``settings``: the settings that receive the converted value. Empty: redis-pulse has no counterpart.
    An option of a collector, such as ``collectors.keys.patterns``, is set only where that collector runs.
    ``convert``: turns the text of the flag into the value of the settings.
    ``enables``: the flag also makes the collector run.
    ``default_differs``: the defaults differ, so that of redis_exporter is written even without the flag.
    ``remark``: what differs. ``protects``: the flag protected the pages. Here a web configuration file does that.
    ``always``: redis-pulse always does what the flag turns on.
    """

    name: str
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
    name: str, variable: str, *settings: str, convert: ConvertValue = values.true, default: str = "false", **others: Any
) -> Flag:
    return Flag(name, variable, settings, convert, default=default, is_switch=True, **others)


_X = "REDIS_EXPORTER_"
_WEB_CONFIG_TLS = (
    "Write a web configuration file with tls_server_config, and set web.config_file: see docs/exposing.md."
)
_WEB_CONFIG_LOGIN = (
    "Write a web configuration file with basic_auth_users, and set web.config_file: see docs/exposing.md."
)
_SCAN = "A scan of a large database is spread over several polls and never blocks the server. `…_scan_progress_ratio` shows its progress, `…_scan_age_seconds` the age of the values."

# fmt: off
FLAG_TABLE: tuple[Flag, ...] = (
    # servers and logins
    Flag("redis.addr", "REDIS_ADDR", ("redis_url",), default="redis://localhost:6379", remark="One process can monitor many targets. A password in the URL is not copied, see redis.password. If the flag is empty, requests name the targets of redis_exporter. For redis-pulse, name them in its configuration file, or allow requests to do so (scrape.adopt)."),
    Flag("redis.user", "REDIS_USER", ("username",)),
    Flag("redis.password", "REDIS_PASSWORD", ("password_file",), remark="Every user of the host can read a command line. Put the password into a file, which is read at every connection."),
    Flag("redis.password-file", "REDIS_PASSWORD_FILE", ("password_file",), values.path, remark="The file may be a JSON object from URL to password, or contain only the password."),
    Flag("connection-timeout", _X + "CONNECTION_TIMEOUT", ("connection.socket_connect_timeout", "connection.socket_timeout"), values.seconds, default="15s", remark="Two more limits apply: probe.timeout (1s) to a PING, and poll.timeout (5s) to each command of a poll."),
    _switch("set-client-name", _X + "SET_CLIENT_NAME", default="true", remark="Connections are named redis-pulse if the ACL user may run CLIENT SETNAME. To leave them unnamed, remove +client|setname from the user."),
    _switch("is-cluster", _X + "IS_CLUSTER", remark="Not needed: the keys and slots of each node are read from that node. With cluster: true in a target, every node of the cluster is monitored.", always=True),
    _switch("cluster-discover-hostnames", _X + "CLUSTER_DISCOVER_HOSTNAMES", remark="There is no /discover-cluster-nodes. With cluster: true in a target, redis-pulse finds the nodes, and /sd lists them. See cluster.prefer."),
    _switch("is-tile38", _X + "IS_TILE38", "collectors.tile38", convert=values.collector, enables=True),
    # TLS to the server
    Flag("tls-ca-cert-file", _X + "TLS_CA_CERT_FILE", ("tls.ca_file",), values.path),
    Flag("tls-client-cert-file", _X + "TLS_CLIENT_CERT_FILE", ("tls.cert_file",), values.path),
    Flag("tls-client-key-file", _X + "TLS_CLIENT_KEY_FILE", ("tls.key_file",), values.path),
    _switch("skip-tls-verification", _X + "SKIP_TLS_VERIFICATION", "tls.cert_reqs", convert=values.no_verification, remark="Prefer tls.ca_file: without verification, anyone between the exporter and the server can read the password."),
    # the HTTP server
    Flag("web.listen-address", _X + "WEB_LISTEN_ADDRESS", ("listen",), values.listen, default=":9121"),
    Flag("web.telemetry-path", _X + "WEB_TELEMETRY_PATH", ("telemetry_path",), values.telemetry_path, default="/metrics"),
    Flag("tls-server-cert-file", _X + "TLS_SERVER_CERT_FILE", remark=_WEB_CONFIG_TLS, protects=True),
    Flag("tls-server-key-file", _X + "TLS_SERVER_KEY_FILE", remark=_WEB_CONFIG_TLS, protects=True),
    Flag("tls-server-ca-cert-file", _X + "TLS_SERVER_CA_CERT_FILE", remark=_WEB_CONFIG_TLS, protects=True),
    Flag("tls-server-min-version", _X + "TLS_SERVER_MIN_VERSION", default="TLS1.2", remark=_WEB_CONFIG_TLS),
    Flag("basic-auth-username", _X + "BASIC_AUTH_USERNAME", remark=_WEB_CONFIG_LOGIN, protects=True),
    Flag("basic-auth-password", _X + "BASIC_AUTH_PASSWORD", remark=_WEB_CONFIG_LOGIN, protects=True),
    Flag("basic-auth-hash-password", _X + "BASIC_AUTH_HASH_PASSWORD", remark=_WEB_CONFIG_LOGIN, protects=True),
    _switch("disable-scrape-endpoint", _X + "DISABLE_SCRAPE_ENDPOINT", remark="Always on: no request can make the exporter connect to another host, unless scrape.adopt allows it.", always=True),
    # log
    Flag("log-level", _X + "LOG_LEVEL", ("log.level",), values.level, default="INFO"),
    Flag("log-format", _X + "LOG_FORMAT", ("log.format",), values.log_format, default="txt"),
    _switch("debug", _X + "DEBUG", "debug"),
    # names and labels
    Flag("namespace", _X + "NAMESPACE", default="redis", remark="Names always begin with redis_. A rule of metric_relabel_configs renames them in Prometheus; migrate-flags prints it."),
    _switch("append-instance-role-label", _X + "APPEND_INSTANCE_ROLE_LABEL", remark="A label that changes in a failover splits every series. Use a join instead: redis_memory_used_bytes * on (instance, target) group_left (role) redis_instance_info."),
    _switch("redis-only-metrics", _X + "REDIS_ONLY_METRICS", remark="The metrics process_* and python_* of the exporter are always there, about 25 series. A rule of metric_relabel_configs drops them in Prometheus; migrate-flags prints it."),
    _switch("include-go-runtime-metrics", _X + "INCLUDE_GO_RUNTIME_METRICS", remark="redis-pulse is written in Python. The metrics process_* and python_* are always there."),
    # what is read in addition to INFO
    _switch("ping-on-connect", _X + "PING_ON_CONNECT", remark="Always on, and more: a PING every probe.interval (1s), measured in a histogram.", always=True),
    Flag("config-command", _X + "CONFIG_COMMAND", ("collectors.config",), values.config_command, default="CONFIG", remark="For a renamed CONFIG, set commands: {config: NAME} in the target or its module."),
    _switch("include-config-metrics", _X + "INCL_CONFIG_METRICS", "collectors.config.include_config_metrics", "collectors.sentinel.include_config_metrics"),
    _switch("redact-config-metrics", _X + "REDACT_CONFIG_METRICS", default="true", remark="Always on. Patterns select the settings to hide, instead of a list of four names. To show one of them, name it in the option show of the collector config.", always=True),
    _switch("include-system-metrics", _X + "INCL_SYSTEM_METRICS", remark="Always on: redis_total_system_memory_bytes is one series.", always=True),
    _switch("include-modules-metrics", _X + "INCL_MODULES_METRICS", "collectors.modules", convert=values.collector, enables=True),
    _switch("include-rdb-file-size-metric", _X + "INCL_RDB_FILE_SIZE_METRIC", "collectors.rdb_file", convert=values.collector, enables=True),
    _switch("include-sentinel-peer-info", _X + "INCL_SENTINEL_PEER_INFO", "collectors.sentinel.include_peer_info"),
    _switch("exclude-latency-histogram-metrics", _X + "EXCLUDE_LATENCY_HISTOGRAM_METRICS", "collectors.latency_histogram", convert=values.no_collector, remark="Not needed for servers before 7.0: a command that a server does not know is sent only once."),
    _switch("include-metrics-for-empty-databases", _X + "INCL_METRICS_FOR_EMPTY_DATABASES", "collectors.info.empty_databases", convert=values.empty_databases, default="true"),
    _switch("export-client-list", _X + "EXPORT_CLIENT_LIST", "collectors.clients.per_client", enables=True, remark="The collector clients also counts clients by user, name and library, which is enough for most dashboards. Without per_client, there is no series for each client. With more than max_clients clients, the list is not read."),
    _switch("export-client-port", _X + "EXPORT_CLIENT_PORT", "collectors.clients.include_port"),
    # keys
    Flag("check-keys", _X + "CHECK_KEYS", ("collectors.keys.patterns",), values.keys, enables=True, remark=_SCAN),
    Flag("check-single-keys", _X + "CHECK_SINGLE_KEYS", ("collectors.keys.keys",), values.keys, enables=True),
    _switch("disable-exporting-key-values", _X + "DISABLE_EXPORTING_KEY_VALUES", "collectors.keys.values", "collectors.keys.text_values", convert=values.inverted, default_differs=True, remark="By default, redis-pulse does not export values of keys. text_values makes a label of every text: remove it unless a dashboard shows it."),
    _switch("skip-checkkeys-for-role-master", _X + "SKIP_CHECKKEYS_FOR_ROLE_MASTER", remark="Set roles: replicas in the collectors that read keys (keys, key_counts, key_groups, streams)."),
    Flag("count-keys", _X + "COUNT_KEYS", ("collectors.key_counts.patterns",), values.keys, enables=True, remark=_SCAN),
    Flag("check-key-groups", _X + "CHECK_KEY_GROUPS", ("collectors.key_groups.groups",), values.groups, enables=True, remark="Lua patterns become regular expressions of RE2. Convert those without an equivalent (%b, %f, a back reference) by hand. If a pattern captures nothing, the whole match is the name of the group."),
    Flag("max-distinct-key-groups", _X + "MAX_DISTINCT_KEY_GROUPS", ("collectors.key_groups.max_distinct",), values.number, default="100"),
    Flag("check-keys-batch-size", _X + "CHECK_KEYS_BATCH_SIZE", ("collectors.keys.count", "collectors.key_counts.count", "collectors.key_groups.count", "collectors.streams.count"), values.batch, default="1000", remark="A SCAN of 1000 keys blocks the server ten times as long as one of 100, the default of redis-pulse. At most 10000."),
    Flag("check-streams", _X + "CHECK_STREAMS", ("collectors.streams.patterns",), values.keys, enables=True, remark=_SCAN),
    Flag("check-single-streams", _X + "CHECK_SINGLE_STREAMS", ("collectors.streams.streams",), values.keys, enables=True),
    _switch("streams-exclude-consumer-metrics", _X + "STREAMS_EXCLUDE_CONSUMER_METRICS", "collectors.streams.per_consumer", convert=values.inverted, default_differs=True),
    # scripts, search
    Flag("script", _X + "SCRIPT", ("collectors.scripts.files",), values.paths, enables=True),
    _switch("lua-script-read-only", _X + "LUA_SCRIPT_READ_ONLY", "collectors.scripts.may_write", convert=values.inverted, default_differs=True, remark="By default, redis-pulse runs scripts with EVAL_RO. may_write allows scripts that write."),
    _switch("include-search-indexes-metrics", _X + "INCL_SEARCH_INDEXES_METRICS", "collectors.search_indexes", convert=values.collector, enables=True),
    Flag("check-search-indexes", _X + "CHECK_SEARCH_INDEXES", ("collectors.search_indexes.patterns",), values.pattern, default=".*"),
    _switch("version", "", remark="Use redis-pulse --version."),
    # newer than 1.86
    Flag("tls-server-name", _X + "TLS_SERVER_NAME", ("tls.server_name",)),
    _switch("exclude-slowlog-metrics", _X + "EXCLUDE_SLOWLOG_METRICS", "collectors.slowlog", convert=values.no_collector),
)
# fmt: on
