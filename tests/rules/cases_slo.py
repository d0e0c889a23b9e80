"""Cases about burn rates: pairs of windows, the minimum number of failures, and the latency SLI.

0.1 % of the pings may fail, and 0.1 % may take more than 10 ms. A failed ping is bad for both. One ping a second is
60 scheduled pings a minute.
"""

from tests.rules.case import Case
from tests.rules.cases_availability import PINGS, failed

TIMEOUT = failed("timeout")
SESSION_PINGS = f"{PINGS} sessions"
OBJECTIVE = "redis_slo_objective_ratio"
FAST_PINGS = 'redis_operation_duration_seconds_bucket{operation="ping", le="0.01"}'

CASES = [
    # 2 % fail, so the budget burns 20 times too fast.
    Case(
        "two pings of a hundred fail, which pages within minutes",
        {PINGS: "0+60x30", TIMEOUT: "0+1.2x30"},
        {"5m": "", "20m": "RedisErrorBudgetBurnFast cart critical"},
        step="1m",
    ),
    # 2 % fail on both targets. This is 20 times too fast for 99.9 %, and twice too fast for 99 %.
    Case(
        "each target is compared with its published objective",
        {
            PINGS: "0+60x30",
            TIMEOUT: "0+1.2x30",
            OBJECTIVE: "0.99x30",
            SESSION_PINGS: "0+60x30",
            f"{TIMEOUT} sessions": "0+1.2x30",
            f"{OBJECTIVE} sessions": "0.999x30",
        },
        {"5m": "", "20m": "RedisErrorBudgetBurnFast sessions critical"},
        step="1m",
    ),
    # 0.2 % fail. This is twice too fast for 99.9 %, and 20 times too fast for 99.99 %.
    Case(
        "stricter objective pages for failures earlier, but not for late pings",
        {PINGS: "0+600x30", TIMEOUT: "0+1.2x30", FAST_PINGS: "0+598.8x30", OBJECTIVE: "0.9999x30"},
        {"5m": "", "20m": "RedisErrorBudgetBurnFast cart critical"},
        step="1m",
    ),
    Case(
        "objective is still known while the exporter is down",
        {PINGS: "0+60x30", TIMEOUT: "0+1.2x30", OBJECTIVE: "0.99x5 _x25"},
        {"20m": "", "29m": ""},
        step="1m",
    ),
    # 1 % fails. This is 10 times too fast, which is below 14.4.
    Case(
        "one ping of a hundred fails, which raises the slow page only",
        {PINGS: "0+60x120", TIMEOUT: "0+0.6x120"},
        {"10m": "", "50m": "RedisErrorBudgetBurnSlow cart critical"},
        step="1m",
    ),
    # 0.4 % fail, which is 4 times too fast.
    Case(
        "four pings of a thousand fail, which raises a ticket after an hour",
        {PINGS: "0+120x100", TIMEOUT: "0+0.48x100"},
        {"50m": "", "3h": "RedisErrorBudgetBurnTicket cart warning"},
        step="2m",
    ),
    # 0.15 % fail, which is 1.5 times too fast. This is below 3, so only the pair of 3 days and 6 hours fires.
    Case(
        "three pings of two thousand fail, which raises a ticket too",
        {PINGS: "0+120x250", TIMEOUT: "0+0.18x250"},
        {"50m": "", "8h": "RedisErrorBudgetBurnTicket cart warning"},
        step="2m",
    ),
    Case(
        "one ping of two thousand fails, which the budget allows",
        {PINGS: "0+120x250", TIMEOUT: "0+0.06x250"},
        {"1h": "", "3h": "", "8h": ""},
        step="2m",
    ),
    # An outage of 5 minutes. Over an hour, 5 of 60 minutes are still 83 times too fast.
    Case(
        "page ends when the short window has no failures any more",
        {PINGS: "0+60x90", TIMEOUT: "0x30 0+60x5 300x55"},
        {"36m": "RedisErrorBudgetBurnFast cart critical", "43m": ""},
        step="1m",
    ),
    # With a ping each 15 s, 4 lost pings of 240 in an hour are 16.7 times too fast. But 4 lost pings must not page.
    Case(
        "four lost pings in an hour are too few for any ratio",
        {PINGS: "0+4x90", TIMEOUT: "0x20 1 2 3 4x70"},
        {"21m": "", "24m": "", "30m": "", "1h": ""},
        step="1m",
    ),
    Case(
        "two pings of a hundred are late, which burns only the latency budget",
        {PINGS: "0+60x30", TIMEOUT: "0x30", FAST_PINGS: "0+58.8x30"},
        {"5m": "", "20m": "RedisLatencyBudgetBurnFast cart critical"},
        step="1m",
    ),
    Case(
        "one ping of a hundred is late",
        {PINGS: "0+60x120", TIMEOUT: "0x120", FAST_PINGS: "0+59.4x120"},
        {"10m": "", "50m": "RedisLatencyBudgetBurnSlow cart critical"},
        step="1m",
    ),
    Case(
        "four pings of a thousand are late",
        {PINGS: "0+120x100", TIMEOUT: "0x100", FAST_PINGS: "0+119.52x100"},
        {"50m": "", "3h": "RedisLatencyBudgetBurnTicket cart warning"},
        step="2m",
    ),
    Case(
        "failed ping counts as late too, so both budgets burn",
        {PINGS: "0+60x30", TIMEOUT: "0+1.2x30", FAST_PINGS: "0+58.8x30"},
        {"20m": "RedisErrorBudgetBurnFast cart critical, RedisLatencyBudgetBurnFast cart critical"},
        step="1m",
    ),
    Case(
        "all pings are in time",
        {PINGS: "0+120x100", TIMEOUT: "0x100", FAST_PINGS: "0+120x100"},
        {"20m": "", "3h": ""},
        step="2m",
    ),
]
