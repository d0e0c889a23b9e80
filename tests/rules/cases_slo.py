"""Burn rates: pairs of windows, the least number of failures, and the latency SLI, of which a failure is bad too.

0.1 % of the pings may fail and 0.1 % may take more than 10 ms. A ping a second: 60 slots a minute.
"""

from tests.rules.case import Case
from tests.rules.cases_reachable import SLOTS, failed

TIMEOUT = failed("timeout")
SESSIONS = f"{SLOTS} sessions"
OBJECTIVE = "redis_slo_objective_ratio"
GOOD = 'redis_operation_duration_seconds_bucket{operation="ping", le="0.01"}'

CASES = [
    # 2 % fail: 20 times too fast.
    Case(
        "two pings of a hundred fail: the page comes within minutes",
        {SLOTS: "0+60x30", TIMEOUT: "0+1.2x30"},
        {"5m": "", "20m": "RedisErrorBudgetBurnFast cart critical"},
        step="1m",
    ),
    # 2 % fail on both: 20 times too fast for 99.9 %, twice too fast for 99 %.
    Case(
        "each target is held against the objective that its exporter publishes for it",
        {
            SLOTS: "0+60x30",
            TIMEOUT: "0+1.2x30",
            OBJECTIVE: "0.99x30",
            SESSIONS: "0+60x30",
            f"{TIMEOUT} sessions": "0+1.2x30",
            f"{OBJECTIVE} sessions": "0.999x30",
        },
        {"5m": "", "20m": "RedisErrorBudgetBurnFast sessions critical"},
        step="1m",
    ),
    # 0.2 % fail: twice too fast for 99.9 %, 20 times too fast for 99.99 %.
    Case(
        "a stricter objective pages for failures where the usual one is silent, and not for pings that are late",
        {SLOTS: "0+600x30", TIMEOUT: "0+1.2x30", GOOD: "0+598.8x30", OBJECTIVE: "0.9999x30"},
        {"5m": "", "20m": "RedisErrorBudgetBurnFast cart critical"},
        step="1m",
    ),
    Case(
        "the objective is remembered while the exporter is away",
        {SLOTS: "0+60x30", TIMEOUT: "0+1.2x30", OBJECTIVE: "0.99x5 _x25"},
        {"20m": "", "29m": ""},
        step="1m",
    ),
    # 1 % fails: 10 times too fast, which is below 14.4.
    Case(
        "one ping of a hundred fails: the slow page comes, and not the fast one",
        {SLOTS: "0+60x120", TIMEOUT: "0+0.6x120"},
        {"10m": "", "50m": "RedisErrorBudgetBurnSlow cart critical"},
        step="1m",
    ),
    # 0.4 % fails: 4 times too fast.
    Case(
        "four pings of a thousand fail: a ticket after an hour, and no page",
        {SLOTS: "0+120x100", TIMEOUT: "0+0.48x100"},
        {"50m": "", "3h": "RedisErrorBudgetBurnTicket cart warning"},
        step="2m",
    ),
    # 0.15 % fails: 1.5 times too fast; below 3, so only the pair of 3 days and 6 hours sees it.
    Case(
        "three pings of two thousand fail: a ticket as well",
        {SLOTS: "0+120x250", TIMEOUT: "0+0.18x250"},
        {"50m": "", "8h": "RedisErrorBudgetBurnTicket cart warning"},
        step="2m",
    ),
    Case(
        "one ping of two thousand fails: that is what the budget is for",
        {SLOTS: "0+120x250", TIMEOUT: "0+0.06x250"},
        {"1h": "", "3h": "", "8h": ""},
        step="2m",
    ),
    # An outage of 5 minutes, then none: 5 of 60 minutes are 83 times too fast still, over the hour alone.
    Case(
        "an outage that is over stops paging when the short window is clean",
        {SLOTS: "0+60x90", TIMEOUT: "0x30 0+60x5 300x55"},
        {"36m": "RedisErrorBudgetBurnFast cart critical", "43m": ""},
        step="1m",
    ),
    # A ping each 15 s: 4 lost of 240 in an hour are 16.7 times too fast, and 4 lost pings wake nobody.
    Case(
        "four lost pings in an hour are too few, whatever the ratio",
        {SLOTS: "0+4x90", TIMEOUT: "0x20 1 2 3 4x70"},
        {"21m": "", "24m": "", "30m": "", "1h": ""},
        step="1m",
    ),
    Case(
        "two pings of a hundred are late: nothing fails, and the latency budget burns",
        {SLOTS: "0+60x30", TIMEOUT: "0x30", GOOD: "0+58.8x30"},
        {"5m": "", "20m": "RedisLatencyBudgetBurnFast cart critical"},
        step="1m",
    ),
    Case(
        "one ping of a hundred is late",
        {SLOTS: "0+60x120", TIMEOUT: "0x120", GOOD: "0+59.4x120"},
        {"10m": "", "50m": "RedisLatencyBudgetBurnSlow cart critical"},
        step="1m",
    ),
    Case(
        "four pings of a thousand are late",
        {SLOTS: "0+120x100", TIMEOUT: "0x100", GOOD: "0+119.52x100"},
        {"50m": "", "3h": "RedisLatencyBudgetBurnTicket cart warning"},
        step="2m",
    ),
    Case(
        "a slot that failed is late as well: both budgets burn",
        {SLOTS: "0+60x30", TIMEOUT: "0+1.2x30", GOOD: "0+58.8x30"},
        {"20m": "RedisErrorBudgetBurnFast cart critical, RedisLatencyBudgetBurnFast cart critical"},
        step="1m",
    ),
    Case(
        "all pings are in time",
        {SLOTS: "0+120x100", TIMEOUT: "0x100", GOOD: "0+120x100"},
        {"20m": "", "3h": ""},
        step="2m",
    ),
]
