"""Cases about servers that are down, that deny access, or that fail repeatedly."""

from tests.rules.case import Case

PINGS = 'redis_operations_total{operation="ping"}'
FAILED_RENEWALS = 'redis_credentials_refresh_failures_total{reason="program"}'
LOGIN_END = "redis_credentials_expiry_timestamp_seconds"


def failed(reason: str, operation: str = "ping") -> str:
    return f'redis_operation_failures_total{{operation="{operation}", reason="{reason}"}}'


def breaker(state: str) -> str:
    return f'redis_circuit_breaker_state{{state="{state}"}}'


def opened(before: str) -> str:
    return f'redis_circuit_breaker_transitions_total{{from_state="{before}", to_state="open"}}'


CASES = [
    Case(
        "server that stays down is reported after a minute",
        {"redis_up": "1x3 0x12", "redis_up sessions": "1x15"},
        {"1m45s": "", "2m": "RedisTargetDown cart critical"},
    ),
    Case(
        "server that returned is reported for six minutes more",
        {"redis_up": "1x3 0x6 1x60"},
        {
            "2m15s": "RedisTargetDown cart critical",
            "8m": "RedisTargetDown cart critical",
            "9m30s": "",
            "15m": "",
        },
    ),
    Case("restart of half a minute raises no alert", {"redis_up": "1x3 0 0 1x20"}, {"1m15s": "", "2m": "", "5m": ""}),
    # 15 pings in 15 s. The failures have two reasons. Each is below the limit, and only their sum is above it.
    Case(
        "one ping of ten fails for a quarter of an hour",
        {PINGS: "0+15x60", failed("timeout"): "0+0.75x60", failed("reset"): "0+0.75x60"},
        {
            "4m": "",
            "14m": "RedisProbeFailureRateHigh cart warning",
        },
    ),
    Case(
        "pings that are not sent are failures too",
        {PINGS: "0+15x60", failed("refused"): "0+15x60"},
        {"14m": "RedisProbeFailureRateHigh cart warning"},
    ),
    Case(
        "one ping of fifty fails, and another operation always fails",
        {
            PINGS: "0+150x60",
            failed("timeout"): "0+3x60",
            'redis_operations_total{operation="slowlog"}': "0+1x60",
            failed("permission", "slowlog"): "0+1x60",
        },
        {"14m": ""},
    ),
    Case(
        "four failures of only four pings raise no alert",
        {PINGS: "0x20 1 2 3 4x60", failed("timeout"): "0x20 1 2 3 4x60"},
        {"6m": "", "10m30s": "", "12m": ""},
    ),
    # With a ping each 15 s, 4 of 20 fail in any 5 minutes. This is a fifth, but too few failures for this alert.
    Case(
        "four failures in each five minutes raise no alert",
        {PINGS: "0+1x80", failed("timeout"): "0+0.2x80"},
        {"10m": "", "19m": ""},
    ),
    # 16 failures within 2 minutes, and 300 pings in any 5 minutes: 5.3 % fail, for 3 minutes.
    Case(
        "burst of failures for two minutes raises no alert",
        {PINGS: "0+15x100 ", failed("timeout"): "0x20 1 2 3 4 5 6 7 8x80"},
        {"9m": "", "12m": ""},
    ),
    Case(
        "every ping fails with auth after a change of the password",
        {"redis_up": "1x3 0x20", failed("auth"): "0x3 0+15x20", failed("permission"): "0x23"},
        {"1m45s": "", "2m15s": "RedisAuthFailing cart critical, RedisTargetDown cart critical"},
    ),
    Case(
        "every ping fails with permission after a change of the ACL",
        {"redis_up": "1x3 0x20", failed("auth"): "0x23", failed("permission"): "0x3 0+15x20"},
        {"2m15s": "RedisAuthFailing cart critical, RedisTargetDown cart critical"},
    ),
    Case(
        "short failures with auth and denied collectors raise no alert",
        {
            "redis_up": "1x30",
            failed("auth"): "0x3 3x27",
            failed("permission"): "0x30",
            failed("permission", "slowlog"): "0+1x30",
        },
        {"1m": "", "3m": "", "6m": ""},
    ),
    Case(
        "login is not renewed although it is still valid",
        {FAILED_RENEWALS: "0x8 0+1x40", LOGIN_END: "3600x48"},
        {"5m": "", "7m": "RedisCredentialsNotRenewed cart warning"},
    ),
    Case(
        "login has expired",
        {FAILED_RENEWALS: "0x48", LOGIN_END: "120x48"},
        {"5m": "", "7m": "RedisCredentialsNotRenewed cart warning"},
    ),
    Case(
        "one renewal failed, and the next one succeeded",
        {FAILED_RENEWALS: "0x8 1x40", LOGIN_END: "3600x48"},
        {"4m": "", "5m": "", "6m30s": "", "10m": ""},
    ),
    Case(
        "breaker with failing trials for two minutes is reported once",
        {
            breaker("closed"): "1x3 0x20",
            breaker("open"): "0x3 1 1 1 0 1 1 1 0 1 1 1 0 1 1 1",
            breaker("half_open"): "0x3 0 0 0 1 0 0 0 1 0 0 0 1 0 0 0",
        },
        {"2m45s": "", "3m": "RedisCircuitBreakerOpen cart warning"},
    ),
    Case(
        "breaker that is open for a minute raises no alert",
        {breaker("closed"): "1x3 0x4 1x20", breaker("open"): "0x3 1x4 0x20", breaker("half_open"): "0x28"},
        {"1m45s": "", "3m": "", "5m": ""},
    ),
    Case(
        "repeatedly failing server opens its breaker five times in ten minutes",
        {opened("closed"): "0x3 1x8 2x8 3x8 4x8 5x20", opened("half_open"): "0x60"},
        {"5m": "", "11m": "RedisCircuitBreakerFlapping cart warning"},
    ),
    Case(
        "breaker that reopens after each trial is not flapping",
        {opened("closed"): "0x3 1x60", opened("half_open"): "0x3 0+1x60"},
        {"5m": "", "11m": "", "14m": ""},
    ),
]
