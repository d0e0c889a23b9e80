"""Cases about stalls, and the texts that name the main cause of them."""

from typing import NamedTuple

from grafana.rules.settings import Settings
from tests.rules.case import JOB, Case
from tests.rules.cases_availability import PINGS, failed

COMMAND, NOT_RUNNING = (f'redis_stalls_total{{cause="{cause}"}}' for cause in ("command", "not_running"))
COMMAND_SECONDS, NOT_RUNNING_SECONDS = (
    f'redis_stall_seconds_total{{cause="{cause}"}}' for cause in ("command", "not_running")
)
RUNNING = "redis_stall_in_progress"

CASES = [
    Case(
        "three stalls of two causes within a quarter of an hour",
        {COMMAND: "_x3 0x7 1x10 2x60", NOT_RUNNING: "0x18 1x62", "redis_up": "1x81"},
        {"4m": "", "7m": "RedisStalls cart warning", "20m": ""},
    ),
    Case(
        "two stalls within a quarter of an hour are no alert",
        {COMMAND: "0x10 1x10 2x80", "redis_up": "1x100"},
        {"4m": "", "7m": "", "20m": ""},
    ),
    Case(
        "three stalls in a whole hour are no alert",
        {COMMAND: "0x3 1x99 2x99 3x99", "redis_up": "1x300"},
        {"30m": "", "52m": ""},
    ),
    Case(
        "stall without an end is no count, and an alert nevertheless",
        {RUNNING: "0x4 1x40 0x20", "redis_up": "1x65"},
        {"4m": "", "7m": "RedisStalls cart warning", "13m": ""},
    ),
    Case(
        "server that does not answer at all is down",
        {RUNNING: "0x4 1x40", "redis_up": "1x4 0x40"},
        {"9m": "RedisTargetDown cart critical"},
    ),
]


class TextCase(NamedTuple):
    """The description of the alert ``alert`` after ``at``. ``step`` is the time between two values."""

    alert: str
    severity: str
    series: dict[str, str]
    at: str
    description: str
    step: str = "1m"

    def to_promtool(self) -> dict[str, object]:
        """Return the case as an entry of promtool's ``tests``."""
        case = Case(self.alert, self.series, {}, step=self.step).to_promtool()
        labels = dict(label.split("=") for label in JOB.replace('"', "").split(", "))
        texts = {"description": self.description, "summary": self.summary, "runbook_url": self.runbook}
        alert = {
            "exp_labels": {**labels, "target": "cart", "severity": self.severity},
            "exp_annotations": texts,
        }
        return {
            **case,
            "promql_expr_test": [],
            "alert_rule_test": [{"alertname": self.alert, "eval_time": self.at, "exp_alerts": [alert]}],
        }

    @property
    def summary(self) -> str:
        """The summary, which has no cause."""
        if self.alert == "RedisStalls":
            return "Clients of Redis server cart wait again and again"
        return "Redis server cart burns its availability budget 20 times too fast"

    @property
    def runbook(self) -> str:
        """The address of the runbook."""
        return f"{Settings().runbooks}/{self.alert}.md"


_WAITING = "cart kept pings of exporter:9121 waiting."
_STALLS_END = (
    "GET /stalls of the exporter shows each stall with its evidence and what to do. "
    "For not_running in Kubernetes, look at container_cpu_cfs_throttled_periods_total of the pod."
)
_BURNING = "More pings of cart by exporter:9121 fail than its objective (slo.objective) allows."
_SPENT = "This rate uses 2 % of the 30-day budget in an hour."
_SECTION = "docs/stalls.md has a section about it."
_FAILING = {PINGS: "0+60x30", failed("timeout"): "0+1.2x30"}
#: Another target has other causes. Of several causes, the one with the most seconds is named, not the most frequent.
_OTHER_TARGET = {'redis_stall_seconds_total{cause="disk"} sessions': "0x10 90x20"}

TEXTS = [
    TextCase(
        "RedisStalls",
        "warning",
        {COMMAND: "0x2 2x20", NOT_RUNNING: "0x3 1x20", COMMAND_SECONDS: "0x2 1x20", NOT_RUNNING_SECONDS: "0x3 4x20"}
        | _OTHER_TARGET,
        "10m",
        f"{_WAITING} Main cause of the stalls of the last 15m: not_running (4s). {_SECTION} {_STALLS_END}",
    ),
    TextCase(
        "RedisStalls",
        "warning",
        {RUNNING: "1x20"} | _OTHER_TARGET,
        "10m",
        f"{_WAITING} No stall that ended in the last 15m was recorded. {_STALLS_END}",
    ),
    TextCase(
        "RedisErrorBudgetBurnFast",
        "critical",
        _FAILING | {COMMAND_SECONDS: "0x10 12x20", NOT_RUNNING_SECONDS: "0x10 4x20"} | _OTHER_TARGET,
        "20m",
        f"{_BURNING} Main cause of the stalls of the last 1h: command (12s). {_SECTION} {_SPENT}",
    ),
    TextCase(
        "RedisErrorBudgetBurnFast",
        "critical",
        _FAILING | _OTHER_TARGET,
        "20m",
        f"{_BURNING} No stall that ended in the last 1h was recorded. {_SPENT}",
    ),
]
