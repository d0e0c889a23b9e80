"""In a flood of stalls, one line of the log is of many. None is left out."""

import io
import json
from collections.abc import Iterator
from typing import Any

import pytest

from redis_pulse import log
from redis_pulse.daemon.stall_log import GROUP_SECONDS, LINES_BURST, StallLog
from redis_pulse.daemon.target_events import TargetEventLogger
from redis_pulse.stalls import StallRecord, Verdict
from redis_pulse.stalls.findings import Cause
from redis_pulse.status import StatusRegistry
from redis_pulse.telemetry import ExporterMetrics
from tests.fakes import ManualClock
from tests.harness import target_settings


class Flood:
    """The loggers of many targets with one ``StallLog``, and the lines that they wrote."""

    def __init__(self, targets: int) -> None:
        self.stream = io.StringIO()
        log.setup("debug", "json", self.stream)
        self.clock = ManualClock()
        self.stall_log = StallLog(self.clock)
        metrics, statuses = ExporterMetrics("x"), StatusRegistry(lambda: 6000.0)
        self.loggers = [
            TargetEventLogger(
                target_settings(name=name),
                metrics.add_target(name, [], buckets=(1.0,), address="a", labels={}),
                statuses.watch(name, 0.01),
                None,
                clock=self.clock,
                stall_log=self.stall_log,
            )
            for name in (f"t{number}" for number in range(targets))
        ]

    def stall(self, cause: Cause = "unknown", seconds: float = 1.0) -> None:
        verdict = Verdict(cause, "sure", "why", "do")
        for number, logger in enumerate(self.loggers):
            record = StallRecord(number, f"t{number}", started=10.0, ended=11.0, seconds=seconds, verdict=verdict)
            logger.on_stall(record, verdict)

    def lines(self, event: str) -> list[dict[str, Any]]:
        lines = [json.loads(line) for line in self.stream.getvalue().splitlines()]
        return [line for line in lines if line["event"] == event]


@pytest.fixture
def flood() -> Iterator[Flood]:
    yield Flood(LINES_BURST + 10)
    log.setup()


def test_stalls_beyond_the_first_are_reported_together(flood: Flood) -> None:
    flood.stall()
    assert len(flood.lines("stall")) == LINES_BURST
    flood.stall("network", seconds=1.5)
    flood.stall_log.tick()
    assert not flood.lines("stalls of many targets"), "it waits for the others"
    flood.clock.advance(GROUP_SECONDS)
    flood.stall_log.tick()
    (line,) = flood.lines("stalls of many targets")
    assert line["causes"] == {"network": LINES_BURST + 10, "unknown": 10}
    assert (line["stalls"], line["targets"], line["longest_seconds"]) == (LINES_BURST + 20, LINES_BURST + 10, 1.5)
    flood.stall_log.flush()
    assert len(flood.lines("stalls of many targets")) == 1, "nothing is reported twice"


def test_last_stalls_are_reported_at_the_end(flood: Flood) -> None:
    flood.stall()
    flood.stall_log.flush()
    (line,) = flood.lines("stalls of many targets")
    assert line["stalls"] == 10
