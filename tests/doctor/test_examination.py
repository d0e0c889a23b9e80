"""An examination ends in time, and a fault of one check hides no other finding."""

import asyncio

import pytest

from redis_pulse.doctor import examination as module
from redis_pulse.doctor.examination import Examination, examine
from redis_pulse.errors import MisconfError
from tests.harness import target_settings


async def fault(_examination: Examination) -> bool:
    raise ZeroDivisionError


async def endless(_examination: Examination) -> bool:
    await asyncio.Event().wait()
    return True


async def stops_answering(_examination: Examination) -> bool:
    raise MisconfError("MISCONF Redis is configured to save")


async def skipped(_examination: Examination) -> bool:
    return False


async def test_fault_of_a_check_is_a_finding_and_others_run() -> None:
    found = await examine(Examination(target_settings(), {}), [("a", fault), ("b", stops_answering), ("c", skipped)])
    assert found.codes() == ["RP001", "RP414"]
    assert (found.done, found.skipped) == (["a", "b"], ["c"])


async def test_check_that_does_not_end_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "TARGET_BUDGET", 0.01)
    found = await examine(Examination(target_settings(), {}), [("a", endless), ("b", fault)])
    assert found.codes() == ["RP002"]
    assert "in the check a" in next(iter(found)).advice.why
