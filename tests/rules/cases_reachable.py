"""Servers that are down, that deny, that come and go."""

from tests.rules.case import Case

SLOTS = 'redis_operations_total{operation="ping"}'


def failed(reason: str, operation: str = "ping") -> str:
    return f'redis_operation_failures_total{{operation="{operation}", reason="{reason}"}}'


def breaker(state: str) -> str:
    return f'redis_circuit_breaker_state{{state="{state}"}}'


def opened(before: str) -> str:
    return f'redis_circuit_breaker_transitions_total{{from_state="{before}", to_state="open"}}'


CASES = [
    Case(
        "a server that stays down is reported after a minute, and no other",
        {"redis_up": "1x3 0x12", "redis_up sessions": "1x15"},
        {"1m45s": "", "2m": "RedisTargetDown cart critical"},
    ),
    Case("a restart of half a minute is no alarm", {"redis_up": "1x3 0 0 1x20"}, {"1m15s": "", "2m": "", "5m": ""}),
    # 15 slots in 15 s; the failures have two reasons, each of them below the limit: only their sum is above it.
    Case(
        "one ping of ten fails for a quarter of an hour",
        {SLOTS: "0+15x60", failed("timeout"): "0+0.75x60", failed("reset"): "0+0.75x60"},
        {
            "4m": "",
            "14m": "RedisProbeFailureRateHigh cart warning",
        },
    ),
    Case(
        "pings that were not sent are failures too",
        {SLOTS: "0+15x60", failed("refused"): "0+15x60"},
        {"14m": "RedisProbeFailureRateHigh cart warning"},
    ),
    Case(
        "one ping of fifty fails, which is below 5 %, and another operation fails always",
        {
            SLOTS: "0+150x60",
            failed("timeout"): "0+3x60",
            'redis_operations_total{operation="slowlog"}': "0+1x60",
            failed("permission", "slowlog"): "0+1x60",
        },
        {"14m": ""},
    ),
    Case(
        "four failures of four pings say too little",
        {SLOTS: "0x20 1 2 3 4x60", failed("timeout"): "0x20 1 2 3 4x60"},
        {"6m": "", "10m30s": "", "12m": ""},
    ),
    # A ping each 15 s, 4 of 20 lost in any 5 minutes: a fifth, and still too few for this one.
    Case(
        "four failures in five minutes say too little, however long it goes on",
        {SLOTS: "0+1x80", failed("timeout"): "0+0.2x80"},
        {"10m": "", "19m": ""},
    ),
    # 16 failures within 2 minutes of 300 slots in any 5: 5.3 %, for 3 minutes.
    Case(
        "a burst that is over after two minutes is no alarm",
        {SLOTS: "0+15x100 ", failed("timeout"): "0x20 1 2 3 4 5 6 7 8x80"},
        {"9m": "", "12m": ""},
    ),
    Case(
        "a password that was changed: every ping fails with auth, and the breaker stays closed",
        {"redis_up": "1x3 0x20", failed("auth"): "0x3 0+15x20", failed("permission"): "0x23"},
        {"1m45s": "", "2m15s": "RedisAuthFailing cart critical, RedisTargetDown cart critical"},
    ),
    Case(
        "an ACL that lost ping: permission counts as well",
        {"redis_up": "1x3 0x20", failed("auth"): "0x23", failed("permission"): "0x3 0+15x20"},
        {"2m15s": "RedisAuthFailing cart critical, RedisTargetDown cart critical"},
    ),
    Case(
        "a password rotated in two steps fails for some seconds only, and collectors may be denied",
        {
            "redis_up": "1x30",
            failed("auth"): "0x3 3x27",
            failed("permission"): "0x30",
            failed("permission", "slowlog"): "0+1x30",
        },
        {"1m": "", "3m": "", "6m": ""},
    ),
    Case(
        "a breaker that keeps trying and failing for two minutes is reported once",
        {
            breaker("closed"): "1x3 0x20",
            breaker("open"): "0x3 1 1 1 0 1 1 1 0 1 1 1 0 1 1 1",
            breaker("half_open"): "0x3 0 0 0 1 0 0 0 1 0 0 0 1 0 0 0",
        },
        {"2m45s": "", "3m": "RedisCircuitBreakerOpen cart warning"},
    ),
    Case(
        "a breaker that was open for a minute is no alarm",
        {breaker("closed"): "1x3 0x4 1x20", breaker("open"): "0x3 1x4 0x20", breaker("half_open"): "0x28"},
        {"1m45s": "", "3m": "", "5m": ""},
    ),
    Case(
        "a server that comes and goes opens its breaker five times within ten minutes",
        {opened("closed"): "0x3 1x8 2x8 3x8 4x8 5x20", opened("half_open"): "0x60"},
        {"5m": "", "11m": "RedisCircuitBreakerFlapping cart warning"},
    ),
    Case(
        "a server that is just down opens its breaker once, and again after each trial: that is no flapping",
        {opened("closed"): "0x3 1x60", opened("half_open"): "0x3 0+1x60"},
        {"5m": "", "11m": "", "14m": ""},
    ),
]
