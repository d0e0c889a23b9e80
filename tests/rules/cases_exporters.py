"""Cases about the exporter itself, its samples, and the accuracy of its measurement."""

from tests.rules.case import Case
from tests.rules.cases_availability import PINGS, failed

AGE = 'redis_sample_age_seconds{collector="info"}'
SUCCESS = 'redis_collector_success{collector="info"}'
LEFT_OUT = '@redis_exporter_discovery_left_out_targets{kind="http", source="http://sd/"}'
LOOP_LAG = "@redis_exporter_loop_lag_seconds_bucket"

CASES = [
    Case(
        "exporter that cannot be scraped is reported after two minutes",
        {"@up": "1x3 0x20"},
        {"2m30s": "", "3m15s": "RedisExporterDown critical"},
    ),
    Case("scrape that fails for a minute raises no alert", {"@up": "1x3 0x4 1x20"}, {"1m45s": "", "4m": ""}),
    Case(
        "missing job is reported for an hour after its last samples",
        {"@up": "1x40 _x200"},
        {"20m": "", "40m": "", "1h2m": "", "1h45m": "RedisExporterAbsent warning", "2h": ""},
        step="1m",
    ),
    Case("running job is not absent", {"@up": "1x200"}, {"1h": "", "3h": ""}, step="1m"),
    Case(
        "rejected configuration is reported after five minutes",
        {"@redis_exporter_config_last_reload_successful": "1x3 0x40"},
        {"5m": "", "6m": "RedisExporterReloadFailed warning"},
    ),
    Case(
        "configuration that is corrected soon raises no alert",
        {"@redis_exporter_config_last_reload_successful": "1x3 0x4 1x40"},
        {"5m": "", "8m": ""},
    ),
    Case(
        "broken web configuration file is reported after five minutes",
        {"@redis_exporter_web_config_valid": "1x3 0x40"},
        {"5m": "", "6m": "RedisExporterWebConfigInvalid warning"},
    ),
    Case(
        "certificate that is invalid while it is being renewed raises no alert",
        {"@redis_exporter_web_config_valid": "1x3 0x4 1x40"},
        {"5m": "", "8m": ""},
    ),
    Case(
        "source of targets fails all the time",
        {
            '@redis_exporter_discovery_refreshes_total{kind="http", source="http://sd/"}': "0+1x100",
            '@redis_exporter_discovery_failures_total{kind="http", source="http://sd/"}': "0x10 0+1x90",
        },
        {"11m": "", "14m": "", "22m": "RedisDiscoveryFailing warning"},
    ),
    Case(
        "source of targets fails half the time",
        {
            '@redis_exporter_discovery_refreshes_total{kind="http", source="http://sd/"}': "0+2x100",
            '@redis_exporter_discovery_failures_total{kind="http", source="http://sd/"}': "0+1x100",
        },
        {"22m": ""},
    ),
    Case(
        "source names more targets than the limit",
        {LEFT_OUT: "0x4 12x40"},
        {"5m": "", "6m30s": "RedisDiscoveryTruncated warning"},
    ),
    Case("source is beyond the limit for a minute", {LEFT_OUT: "0x4 12x4 0x40"}, {"3m": "", "10m": ""}),
    Case("source is within the limit", {LEFT_OUT: "0x60"}, {"12m": ""}),
    Case(
        "samples become old although the server replies",
        {AGE: "0+15x40", "redis_up": "1x40"},
        {"5m45s": "", "6m30s": "RedisSamplesStale cart warning"},
    ),
    Case(
        "samples are not older than their interval allows",
        {AGE: "15 30 40 44 5 10 15 15 30 40 44 5 10 15 15 30 40 44 5 10 15 15 30 40 44 5 10 15", "redis_up": "1x30"},
        {"3m": "", "6m45s": ""},
    ),
    Case(
        "old samples of a server that is down raise no second alert",
        {AGE: "0+15x60", "redis_up": "0x60", SUCCESS: "0x60"},
        {"14m": "RedisTargetDown cart critical"},
    ),
    Case(
        "collector fails on a server that replies",
        {SUCCESS: "1x3 0x40", "redis_up": "1x43"},
        {"5m30s": "", "6m": "RedisCollectorFailing cart warning"},
    ),
    Case("collector that fails twice raises no alert", {SUCCESS: "1x3 0 0 1x40", "redis_up": "1x43"}, {"6m": ""}),
    Case(
        "exporter is too late to send one ping of fifty",
        {PINGS: "0+15x80", failed("skipped"): "0+0.3x80"},
        {
            "9m": "",
            "16m": "RedisProbeScheduleLate warning",
        },
    ),
    Case(
        "one ping of fifty has an uncertain send time",
        {PINGS: "0+15x80", "@redis_exporter_probe_uncertain_sends_total": "0+0.3x80"},
        {"9m": "", "16m": "RedisProbeScheduleLate warning"},
    ),
    Case(
        "event loop is late, and replies have no kernel timestamps",
        {
            PINGS: "0+15x80",
            'redis_probe_clock_total{clock="user"}': "0+15x80",
            'redis_probe_clock_total{clock="kernel"}': "0x80",
            f'{LOOP_LAG}{{le="0.005"}}': "0+8x80",
            f'{LOOP_LAG}{{le="0.05"}}': "0+10x80",
            f'{LOOP_LAG}{{le="+Inf"}}': "0+10x80",
        },
        {"9m": "", "16m": "RedisProbeScheduleLate warning"},
    ),
    Case(
        "late event loop with kernel timestamps makes no latency wrong",
        {
            PINGS: "0+15x80",
            'redis_probe_clock_total{clock="user"}': "0x80",
            'redis_probe_clock_total{clock="kernel"}': "0+15x80",
            f'{LOOP_LAG}{{le="0.005"}}': "0+8x80",
            f'{LOOP_LAG}{{le="0.05"}}': "0+10x80",
            f'{LOOP_LAG}{{le="+Inf"}}': "0+10x80",
        },
        {"9m": "", "16m": ""},
    ),
    Case(
        "one ping of two hundred is skipped or has an uncertain send time",
        {PINGS: "0+15x80", failed("skipped"): "0x80", "@redis_exporter_probe_uncertain_sends_total": "0+0.075x80"},
        {"16m": ""},
    ),
]
