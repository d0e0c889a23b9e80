"""A short run of `make fuzz` with fixed seeds, and all inputs that ever found something."""

import ast
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fuzz import run
from fuzz.inputs import Chooser
from fuzz.steps import count_steps
from fuzz.targets import TARGETS, FuzzTarget

JOBS = {job.name: job for job in run.jobs()}
FOUND = sorted(Path(__file__).with_name("found").glob("*.txt"))


@pytest.mark.parametrize("name", TARGETS)
def test_parser_survives_a_short_run(name: str) -> None:
    assert run.fuzz(JOBS[name], 100, seed=1).findings == []


@pytest.mark.parametrize("name", [name for name in JOBS if name not in TARGETS])
def test_collectors_and_poll_survive_a_short_run(name: str) -> None:
    assert run.fuzz(JOBS[name], 3, seed=1).findings == []


@pytest.mark.parametrize("file", FOUND, ids=lambda file: file.stem)
def test_input_that_found_something_is_harmless_now(file: Path) -> None:
    name, seed, value = file.read_text(encoding="utf-8").split("\n", 2)
    job = JOBS[name]
    read = ast.literal_eval(value)
    assert run.execute(job, int(seed) if read is None else read) == ""


@settings(max_examples=30, deadline=None)
@given(
    st.sampled_from(["info", "client_list", "cluster_nodes", "short_texts", "accept_and_query"]), st.text(max_size=200)
)
def test_parser_survives_any_text(name: str, text: str) -> None:
    """Hypothesis finds the smallest input, and other input than ours."""
    assert run.execute(JOBS[name], text) == ""


@settings(max_examples=50, deadline=None)
@given(st.binary(max_size=200))
def test_client_survives_any_bytes(data: bytes) -> None:
    assert run.execute(JOBS["resp"], data) == ""
    assert run.execute(JOBS["probe_lines"], [data]) == ""


def _fail(_value: Any) -> None:
    raise KeyError("made up")


def test_error_that_is_not_documented_is_a_finding() -> None:
    job = run.Job("x", lambda seed: f"input {seed}", _fail, (ValueError,), 1.0)
    outcome = run.fuzz(job, 30, seed=5)
    assert len(outcome.findings) == 20
    assert outcome.findings[0] == run.Finding("x", 5, "KeyError: 'made up'", "input 5")
    assert run.execute(job._replace(allowed=(KeyError,)), "a") == ""


def test_same_seed_makes_the_same_input() -> None:
    def inputs(target: FuzzTarget) -> list[Any]:
        return [target.make(Chooser(seed)) for seed in range(20)]

    for target in TARGETS.values():
        assert repr(inputs(target)) == repr(inputs(target))


def test_shares_of_all_jobs_are_one() -> None:
    assert sum(job.share for job in JOBS.values()) == pytest.approx(1)


def test_steps_are_executed_lines() -> None:
    def loop(count: int) -> None:
        for _ in range(count):
            pass

    assert count_steps(lambda: loop(1000)) - count_steps(lambda: loop(500)) == 1000
