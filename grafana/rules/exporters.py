"""Alerts: the exporter is down, cannot read servers, or measures unreliably."""

from collections.abc import Iterator

from grafana.rules.rule import WHILE_UP, Alert, Group
from grafana.rules.settings import Settings
from grafana.rules.slo import PING


def alerts(settings: Settings) -> Group:
    """Return the alerts on the exporter itself."""
    return Group(
        "redis-pulse-exporter",
        (*_exporters(settings), *_discovery(settings), *_samples(settings), *_measurement(settings)),
    )


def _exporters(settings: Settings) -> Iterator[Alert]:
    up = f'up{{job=~"{settings.job}"}}'
    yield Alert(
        name="RedisExporterDown",
        idea="`up == 0` for the job of the exporter",
        expr=f"{up} == 0",
        wait="2m",
        severity="critical",
        summary="The Redis exporter {{ $labels.instance }} cannot be scraped",
        description=(
            "Prometheus has not been able to scrape {{ $labels.instance }} of the job {{ $labels.job }} for 2 "
            "minutes. Its servers are not monitored, and no other alert about them can fire."
        ),
    )
    yield Alert(
        name="RedisExporterAbsent",
        idea="the job of the exporter had instances an hour ago and has none now",
        why=("By job, because instances change with every rollout. `absent()` would need a list of the expected jobs."),
        expr=f"count by (job) ({up} offset {settings.window('1h')}) unless count by (job) ({up})",
        wait="5m",
        severity="warning",
        summary="The Redis exporters of the job {{ $labels.job }} are gone",
        description=(
            "An hour ago Prometheus scraped the job {{ $labels.job }}, and now the job has no instance. No alert "
            "about its servers can fire. This alert ends by itself after an hour."
        ),
    )
    yield Alert(
        name="RedisExporterReloadFailed",
        idea="`redis_exporter_config_last_reload_successful == 0`",
        expr="redis_exporter_config_last_reload_successful == 0",
        wait="5m",
        severity="warning",
        summary="The Redis exporter {{ $labels.instance }} refuses its new configuration",
        description=(
            "{{ $labels.instance }} could not load its new configuration and continues with the previous one. It "
            "would not start with the new one. The log has the reason."
        ),
    )
    yield Alert(
        name="RedisExporterWebConfigInvalid",
        idea="`redis_exporter_web_config_valid == 0`",
        why="A broken certificate is noticed only when the old one expires. Then no scrape succeeds any more.",
        expr="redis_exporter_web_config_valid == 0",
        wait="5m",
        severity="warning",
        summary="The Redis exporter {{ $labels.instance }} refuses its web configuration file",
        description=(
            "{{ $labels.instance }} cannot use its new web configuration file, or a certificate or token file that it "
            "names. The previous certificate and users stay in force. A restart would fail. The log has the reason."
        ),
    )


def _discovery(settings: Settings) -> Iterator[Alert]:
    failed, refreshes = (
        f"increase(redis_exporter_discovery_{name}_total[{settings.window('10m')}])"
        for name in ("failures", "refreshes")
    )
    yield Alert(
        name="RedisDiscoveryFailing",
        idea="a source of targets has not answered within 10 minutes",
        expr=f"{failed} / ({refreshes} > 0) > 0.99",
        wait="5m",
        severity="warning",
        summary="The exporter {{ $labels.instance }} gets no targets from {{ $labels.source }}",
        description=(
            "The source {{ $labels.source }} ({{ $labels.kind }}) does not answer {{ $labels.instance }}. Its known "
            "targets stay, and new targets are not found."
        ),
    )

    yield Alert(
        name="RedisDiscoveryTruncated",
        idea="a source names more targets than a limit allows, and some are not watched",
        expr="redis_exporter_discovery_left_out_targets > 0",
        wait="5m",
        severity="warning",
        summary="{{ $value }} Redis servers from {{ $labels.source }} are not watched",
        description=(
            "The source {{ $labels.source }} ({{ $labels.kind }}) names {{ $value }} servers beyond a limit of "
            "{{ $labels.instance }}, usually discovery.max_targets. They are not watched, and no alert about them can "
            "fire."
        ),
    )


def _samples(settings: Settings) -> Iterator[Alert]:
    yield Alert(
        name="RedisSamplesStale",
        idea="samples of a collector are older than 3 poll intervals while the server is up",
        expr=f"""
            max by (job, instance, target, collector) (redis_sample_age_seconds) > {settings.stale}
            {WHILE_UP}
        """,
        wait="5m",
        severity="warning",
        summary="The samples of Redis server {{ $labels.target }} are {{ $value | humanizeDuration }} old",
        description=(
            "The collector {{ $labels.collector }} of {{ $labels.instance }} has not succeeded on "
            "{{ $labels.target }} for {{ $value | humanizeDuration }}, although the server answers pings. Its "
            "metrics are missing."
        ),
    )
    yield Alert(
        name="RedisCollectorFailing",
        idea="`redis_collector_success == 0` while the server is up",
        expr=f"redis_collector_success == 0 {WHILE_UP}",
        wait="5m",
        severity="warning",
        summary="The collector {{ $labels.collector }} fails on Redis server {{ $labels.target }}",
        description=(
            "{{ $labels.instance }} cannot run {{ $labels.collector }} on {{ $labels.target }}, although the server "
            "answers pings. redis_operation_failures_total has the reason. If redis_collector_denied is 1, the user "
            "lacks a permission, which /health names."
        ),
    )


def _measurement(settings: Settings) -> Iterator[Alert]:
    span = settings.window("5m")
    scheduled = f"(sum by (job, instance) (rate(redis_operations_total{{{PING}}}[{span}])) > 0)"
    too_many = f"{scheduled} > {settings.late:g}"
    skipped = f'redis_operation_failures_total{{{PING}, reason="skipped"}}'
    lag = f"sum by (job, instance, le) (rate(redis_exporter_loop_lag_seconds_bucket[{span}]))"
    yield Alert(
        name="RedisProbeScheduleLate",
        idea=(
            f"more than {100 * settings.late:g} % of the pings were skipped or sent at an uncertain time. "
            "Or replies have no kernel timestamp, and the p99 of the loop lag is above half of the latency edge"
        ),
        why=(
            "Lag of the event loop causes no error while replies have kernel timestamps. It matters only for times "
            "from the exporter's own clock (unix sockets, systems other than Linux)."
        ),
        expr=f"""
            sum by (job, instance) (rate({skipped}[{span}])) / {too_many}
            or
            sum by (job, instance) (rate(redis_exporter_probe_uncertain_sends_total[{span}])) / {too_many}
            or
            (
                histogram_quantile(0.99, {lag}) > {settings.edge / 2:g}
              and on (job, instance)
                sum by (job, instance) (rate(redis_probe_clock_total{{clock="user"}}[{span}])) / {too_many}
            )
        """,
        wait="10m",
        severity="warning",
        summary="The latencies that {{ $labels.instance }} measures are suspect",
        description=(
            "{{ $labels.instance }} itself is too late: it skips pings, does not know when they were sent, or reads "
            "replies late. The reported latencies or failures may be its own. It has too little CPU, or watches too "
            "many servers."
        ),
    )
