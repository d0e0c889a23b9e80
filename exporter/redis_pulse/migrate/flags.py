"""THE TABLE: every flag of redis_exporter 1.86, what does the same here, and what one should know.

The command and docs/migrating-from-redis-exporter.md are both made from it.
"""
# ruff: noqa: E501 - a row is one line

from typing import Any, NamedTuple

from redis_pulse.migrate import values
from redis_pulse.migrate.values import Take

#: The version whose flags these are.
VERSION = "1.86"


class Row(NamedTuple):
    """One flag of redis_exporter.

    ``ours`` are the settings that get what ``take`` makes of its value; none of them means that there is no
    counterpart. ``collectors.keys.patterns`` is an option of a collector: it is set where that collector runs, and
    with ``brings`` the flag makes it run. With ``differs`` our default is another than theirs: theirs is then set
    also when nobody gives the flag. ``remark`` says what is not the same. ``protects``: without a counterpart the
    pages would be open that were closed. ``always``: what the flag turns on is so here without it.
    """

    flag: str
    variable: str
    ours: tuple[str, ...] = ()
    take: Take = values.text
    remark: str = ""
    default: str = ""
    is_switch: bool = False
    brings: bool = False
    differs: bool = False
    protects: bool = False
    always: bool = False


def _switch(
    flag: str, variable: str, *ours: str, take: Take = values.true, default: str = "false", **others: Any
) -> Row:
    return Row(flag, variable, ours, take, default=default, is_switch=True, **others)


_X = "REDIS_EXPORTER_"
_FRONT = "Pages are served over plain HTTP: put a reverse proxy with TLS in front, or listen on 127.0.0.1 and let an agent beside it scrape."
_AUTH = "Pages ask for no password and show none: put a reverse proxy in front, or keep the port to the network of Prometheus."
_SCAN = "A pass over a big database goes on over several polls and never blocks the server; `…_scan_progress_ratio` and `…_scan_age_seconds` say how complete and how old the values are."

# fmt: off
TABLE: tuple[Row, ...] = (
    # whom to ask
    Row("redis.addr", "REDIS_ADDR", ("redis_url",), default="redis://localhost:6379", remark="One process watches as many targets as you name. A password in it is taken out, see redis.password. Empty means there that requests name the targets; here the file does."),
    Row("redis.user", "REDIS_USER", ("username",)),
    Row("redis.password", "REDIS_PASSWORD", ("password_file",), remark="Everybody on the host can read a command line. The password belongs into a file, which is read again at every connection."),
    Row("redis.password-file", "REDIS_PASSWORD_FILE", ("password_file",), values.path, remark="A JSON object from URL to password is understood, and so is a file with nothing but the password."),
    Row("connection-timeout", _X + "CONNECTION_TIMEOUT", ("connection.socket_connect_timeout", "connection.socket_timeout"), values.seconds, default="15s", remark="Beside it probe.timeout (1s) bounds a PING and poll.timeout (5s) a whole poll of a collector."),
    _switch("set-client-name", _X + "SET_CLIENT_NAME", default="true", remark="Our connections are named redis-pulse wherever the user may run CLIENT SETNAME; take +client|setname away from it to leave them unnamed."),
    _switch("is-cluster", _X + "IS_CLUSTER", remark="Not needed: each node reads its own keys and slots. cluster: true in a target watches every node of its cluster.", always=True),
    _switch("cluster-discover-hostnames", _X + "CLUSTER_DISCOVER_HOSTNAMES", remark="There is no /discover-cluster-nodes: cluster: true in a target finds the nodes, and /sd lists them; see cluster.prefer."),
    _switch("is-tile38", _X + "IS_TILE38", "collectors.tile38", take=values.collector, brings=True),
    # TLS towards the server
    Row("tls-ca-cert-file", _X + "TLS_CA_CERT_FILE", ("tls.ca_file",), values.path),
    Row("tls-client-cert-file", _X + "TLS_CLIENT_CERT_FILE", ("tls.cert_file",), values.path),
    Row("tls-client-key-file", _X + "TLS_CLIENT_KEY_FILE", ("tls.key_file",), values.path),
    _switch("skip-tls-verification", _X + "SKIP_TLS_VERIFICATION", "tls.cert_reqs", take=values.no_verification, remark="Better name the authority in tls.ca_file: without it anybody in between can read the password."),
    # our own pages
    Row("web.listen-address", _X + "WEB_LISTEN_ADDRESS", ("listen",), values.listen, default=":9121"),
    Row("web.telemetry-path", _X + "WEB_TELEMETRY_PATH", ("telemetry_path",), values.telemetry_path, default="/metrics"),
    Row("tls-server-cert-file", _X + "TLS_SERVER_CERT_FILE", remark=_FRONT, protects=True),
    Row("tls-server-key-file", _X + "TLS_SERVER_KEY_FILE", remark=_FRONT, protects=True),
    Row("tls-server-ca-cert-file", _X + "TLS_SERVER_CA_CERT_FILE", remark=_FRONT, protects=True),
    Row("tls-server-min-version", _X + "TLS_SERVER_MIN_VERSION", default="TLS1.2", remark=_FRONT),
    Row("basic-auth-username", _X + "BASIC_AUTH_USERNAME", remark=_AUTH, protects=True),
    Row("basic-auth-password", _X + "BASIC_AUTH_PASSWORD", remark=_AUTH, protects=True),
    Row("basic-auth-hash-password", _X + "BASIC_AUTH_HASH_PASSWORD", remark=_AUTH, protects=True),
    _switch("disable-scrape-endpoint", _X + "DISABLE_SCRAPE_ENDPOINT", remark="Always so: no request can make the exporter connect to a host that it names.", always=True),
    # what is logged
    Row("log-level", _X + "LOG_LEVEL", ("log.level",), values.level, default="INFO"),
    Row("log-format", _X + "LOG_FORMAT", ("log.format",), values.log_format, default="txt"),
    _switch("debug", _X + "DEBUG", "debug"),
    # names and labels
    Row("namespace", _X + "NAMESPACE", default="redis", remark="Names always begin with redis_. A rule of metric_relabel_configs renames them in Prometheus; migrate-flags prints it."),
    _switch("append-instance-role-label", _X + "APPEND_INSTANCE_ROLE_LABEL", remark="A label that changes in a failover breaks every series in two. Join instead: redis_memory_used_bytes * on (instance, target) group_left (role) redis_instance_info."),
    _switch("redis-only-metrics", _X + "REDIS_ONLY_METRICS", remark="process_* and python_* of the exporter itself are always there, about 25 series. A rule of metric_relabel_configs drops them in Prometheus; migrate-flags prints it."),
    _switch("include-go-runtime-metrics", _X + "INCLUDE_GO_RUNTIME_METRICS", remark="There is no Go in it; process_* and python_* are always there."),
    # what is read besides INFO
    _switch("ping-on-connect", _X + "PING_ON_CONNECT", remark="Always so, and more: a PING every probe.interval (1s), as a histogram.", always=True),
    Row("config-command", _X + "CONFIG_COMMAND", ("collectors.config",), values.config_command, default="CONFIG", remark="For a renamed CONFIG set commands: {config: NAME} of the target or its module."),
    _switch("include-config-metrics", _X + "INCL_CONFIG_METRICS", "collectors.config.include_config_metrics", "collectors.sentinel.include_config_metrics"),
    _switch("redact-config-metrics", _X + "REDACT_CONFIG_METRICS", default="true", remark="Always so, by pattern and not by a list of four names. What is hidden needlessly is named in the option show of the collector config.", always=True),
    _switch("include-system-metrics", _X + "INCL_SYSTEM_METRICS", remark="Always so: redis_total_system_memory_bytes is one series.", always=True),
    _switch("include-modules-metrics", _X + "INCL_MODULES_METRICS", "collectors.modules", take=values.collector, brings=True),
    _switch("include-rdb-file-size-metric", _X + "INCL_RDB_FILE_SIZE_METRIC", "collectors.rdb_file", take=values.collector, brings=True),
    _switch("include-sentinel-peer-info", _X + "INCL_SENTINEL_PEER_INFO", "collectors.sentinel.include_peer_info"),
    _switch("exclude-latency-histogram-metrics", _X + "EXCLUDE_LATENCY_HISTOGRAM_METRICS", "collectors.latency_histogram", take=values.no_collector, remark="Not needed for servers before 7.0: what a server does not know is asked once."),
    _switch("include-metrics-for-empty-databases", _X + "INCL_METRICS_FOR_EMPTY_DATABASES", "collectors.info.empty_databases", take=values.empty_databases, default="true"),
    _switch("export-client-list", _X + "EXPORT_CLIENT_LIST", "collectors.clients.per_client", brings=True, remark="The collector clients also sums clients up by user, name and library, which is all that most dashboards need: without per_client there is no series a client. With more than max_clients clients the list is not asked for."),
    _switch("export-client-port", _X + "EXPORT_CLIENT_PORT", "collectors.clients.include_port"),
    # keys
    Row("check-keys", _X + "CHECK_KEYS", ("collectors.keys.patterns",), values.keys, brings=True, remark=_SCAN),
    Row("check-single-keys", _X + "CHECK_SINGLE_KEYS", ("collectors.keys.keys",), values.keys, brings=True),
    _switch("disable-exporting-key-values", _X + "DISABLE_EXPORTING_KEY_VALUES", "collectors.keys.values", "collectors.keys.text_values", take=values.inverted, differs=True, remark="Values of keys are not exported here unless asked for. text_values makes a label of every text: take it away unless a dashboard shows it."),
    _switch("skip-checkkeys-for-role-master", _X + "SKIP_CHECKKEYS_FOR_ROLE_MASTER", remark="Set roles: replicas in the collectors that read keys (keys, key_counts, key_groups, streams)."),
    Row("count-keys", _X + "COUNT_KEYS", ("collectors.key_counts.patterns",), values.keys, brings=True, remark=_SCAN),
    Row("check-key-groups", _X + "CHECK_KEY_GROUPS", ("collectors.key_groups.groups",), values.groups, brings=True, remark="Patterns of Lua become regular expressions of Python; one that has no like (%b, %f, a back reference) is left to you. A pattern that captures nothing names the group by all that it matches."),
    Row("max-distinct-key-groups", _X + "MAX_DISTINCT_KEY_GROUPS", ("collectors.key_groups.max_distinct",), values.number, default="100"),
    Row("check-keys-batch-size", _X + "CHECK_KEYS_BATCH_SIZE", ("collectors.keys.count", "collectors.key_counts.count", "collectors.key_groups.count", "collectors.streams.count"), values.batch, default="1000", remark="A SCAN of 1000 keys holds the server up ten times as long as one of 100, our default; at most 10000."),
    Row("check-streams", _X + "CHECK_STREAMS", ("collectors.streams.patterns",), values.keys, brings=True, remark=_SCAN),
    Row("check-single-streams", _X + "CHECK_SINGLE_STREAMS", ("collectors.streams.streams",), values.keys, brings=True),
    _switch("streams-exclude-consumer-metrics", _X + "STREAMS_EXCLUDE_CONSUMER_METRICS", "collectors.streams.per_consumer", take=values.inverted, differs=True),
    # scripts, search
    Row("script", _X + "SCRIPT", ("collectors.scripts.files",), values.paths, brings=True),
    _switch("lua-script-read-only", _X + "LUA_SCRIPT_READ_ONLY", "collectors.scripts.may_write", take=values.inverted, differs=True, remark="Scripts are run by EVAL_RO here unless may_write says otherwise."),
    _switch("include-search-indexes-metrics", _X + "INCL_SEARCH_INDEXES_METRICS", "collectors.search_indexes", take=values.collector, brings=True),
    Row("check-search-indexes", _X + "CHECK_SEARCH_INDEXES", ("collectors.search_indexes.patterns",), values.pattern, default=".*"),
    _switch("version", "", remark="redis-pulse --version."),
    # newer than 1.86
    Row("tls-server-name", _X + "TLS_SERVER_NAME", ("tls.server_name",)),
    _switch("exclude-slowlog-metrics", _X + "EXCLUDE_SLOWLOG_METRICS", "collectors.slowlog", take=values.no_collector),
)
# fmt: on
#: Flags that came after VERSION.
NEWER = ("tls-server-name", "exclude-slowlog-metrics")
