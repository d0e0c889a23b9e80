"""The exporter itself, its samples, and how far its measurement is to be trusted."""

from tests.rules.case import Case
from tests.rules.cases_reachable import SLOTS, failed

AGE = 'redis_sample_age_seconds{collector="info"}'
SUCCESS = 'redis_collector_success{collector="info"}'
LAG = "@redis_exporter_loop_lag_seconds_bucket"

CASES = [
    Case(
        "an exporter that cannot be scraped is reported after two minutes",
        {"@up": "1x3 0x20"},
        {"2m30s": "", "3m15s": "RedisExporterDown critical"},
    ),
    Case("a scrape that fails for a minute is no alarm", {"@up": "1x3 0x4 1x20"}, {"1m45s": "", "4m": ""}),
    Case(
        "a job that was there an hour ago and is gone is reported, for an hour",
        {"@up": "1x40 _x200"},
        {"20m": "", "40m": "", "1h2m": "", "1h45m": "RedisExporterAbsent warning", "2h": ""},
        step="1m",
    ),
    Case("a job that goes on is not absent", {"@up": "1x200"}, {"1h": "", "3h": ""}, step="1m"),
    Case(
        "a configuration that was refused is reported after five minutes",
        {"@redis_exporter_config_last_reload_successful": "1x3 0x40"},
        {"5m": "", "6m": "RedisExporterReloadFailed warning"},
    ),
    Case(
        "a configuration that was mended at once is no alarm",
        {"@redis_exporter_config_last_reload_successful": "1x3 0x4 1x40"},
        {"5m": "", "8m": ""},
    ),
    Case(
        "a source of targets does not answer any more",
        {
            '@redis_exporter_discovery_refreshes_total{kind="http", source="http://sd/"}': "0+1x100",
            '@redis_exporter_discovery_failures_total{kind="http", source="http://sd/"}': "0x10 0+1x90",
        },
        {"11m": "", "14m": "", "22m": "RedisDiscoveryFailing warning"},
    ),
    Case(
        "a source of targets does not answer now and then",
        {
            '@redis_exporter_discovery_refreshes_total{kind="http", source="http://sd/"}': "0+2x100",
            '@redis_exporter_discovery_failures_total{kind="http", source="http://sd/"}': "0+1x100",
        },
        {"22m": ""},
    ),
    Case(
        "samples grow old although the server answers",
        {AGE: "0+15x40", "redis_up": "1x40"},
        {"5m45s": "", "6m30s": "RedisSamplesStale cart warning"},
    ),
    Case(
        "samples are as old as their interval allows",
        {AGE: "15 30 40 44 5 10 15 15 30 40 44 5 10 15 15 30 40 44 5 10 15 15 30 40 44 5 10 15", "redis_up": "1x30"},
        {"3m": "", "6m45s": ""},
    ),
    Case(
        "samples of a server that is down grow old, and that is not told again",
        {AGE: "0+15x60", "redis_up": "0x60", SUCCESS: "0x60"},
        {"14m": "RedisTargetDown cart critical"},
    ),
    Case(
        "a collector that fails on a server that answers",
        {SUCCESS: "1x3 0x40", "redis_up": "1x43"},
        {"5m30s": "", "6m": "RedisCollectorFailing cart warning"},
    ),
    Case("a collector that failed twice is no alarm", {SUCCESS: "1x3 0 0 1x40", "redis_up": "1x43"}, {"6m": ""}),
    Case(
        "one ping of fifty is skipped: the exporter is too late to send",
        {SLOTS: "0+15x80", failed("skipped"): "0+0.3x80"},
        {
            "9m": "",
            "16m": "RedisProbeScheduleLate warning",
        },
    ),
    Case(
        "one ping of fifty left at an uncertain time",
        {SLOTS: "0+15x80", "@redis_exporter_probe_uncertain_sends_total": "0+0.3x80"},
        {"9m": "", "16m": "RedisProbeScheduleLate warning"},
    ),
    Case(
        "the loop is late, and replies are not stamped by the kernel",
        {
            SLOTS: "0+15x80",
            'redis_probe_clock_total{clock="user"}': "0+15x80",
            'redis_probe_clock_total{clock="kernel"}': "0x80",
            f'{LAG}{{le="0.005"}}': "0+8x80",
            f'{LAG}{{le="0.05"}}': "0+10x80",
            f'{LAG}{{le="+Inf"}}': "0+10x80",
        },
        {"9m": "", "16m": "RedisProbeScheduleLate warning"},
    ),
    Case(
        "the loop is late, but the kernel stamps the replies: no latency is wrong by it",
        {
            SLOTS: "0+15x80",
            'redis_probe_clock_total{clock="user"}': "0x80",
            'redis_probe_clock_total{clock="kernel"}': "0+15x80",
            f'{LAG}{{le="0.005"}}': "0+8x80",
            f'{LAG}{{le="0.05"}}': "0+10x80",
            f'{LAG}{{le="+Inf"}}': "0+10x80",
        },
        {"9m": "", "16m": ""},
    ),
    Case(
        "one ping of two hundred is skipped, or left at an uncertain time",
        {SLOTS: "0+15x80", failed("skipped"): "0x80", "@redis_exporter_probe_uncertain_sends_total": "0+0.075x80"},
        {"16m": ""},
    ),
]
