"""Each code is provoked by a test, and doctor uses no key that the table lacks."""

import ast
import re
from pathlib import Path

from redis_pulse.advice import BY_KEY, TABLE
from redis_pulse.errors import REASONS
from redis_pulse.stalls.causes import CAUSES

ROOT = Path(__file__).parents[2]
DOCTOR = ROOT / "exporter" / "redis_pulse" / "doctor"
#: Keys that only the status page and the log show, and where a test provokes their state.
ELSEWHERE = {
    **{f"stall.{cause}": "tests/integration/test_stall_causes.py" for cause in CAUSES},
    "stalled.server": "tests/integration/test_stalls.py",
    "stalled.network": "tests/integration/test_network_faults.py",
    "rejected": "tests/client/test_client.py",
    "skipped": "tests/probe/test_prober.py",
    "reload.refused": "tests/integration/test_reload.py",
    "readonly": "tests/integration/test_canary.py",
    "slow.replies": "tests/web/pages/test_sentences.py",
    "recovered": "tests/web/pages/test_problems.py",
}


def test_each_code_is_provoked_by_a_test() -> None:
    sources = "\n".join(path.read_text() for path in (ROOT / "tests" / "doctor").rglob("test_*.py"))
    named = set(re.findall(r"RP\d{3}", sources))
    missing = {row.code: row.key for row in TABLE if row.code not in named and row.key not in ELSEWHERE}
    assert missing == {}


def test_tests_of_other_folders_exist() -> None:
    assert [path for path in set(ELSEWHERE.values()) if not (ROOT / path).exists()] == []


def test_keys_that_doctor_adds_are_in_the_table() -> None:
    keys = set()
    for path in DOCTOR.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            match node:
                case ast.Call(func=ast.Attribute(attr="add"), args=[ast.Constant(value=str(key)), *_]):
                    keys.add(key)
    assert len(keys) > 40
    assert keys <= BY_KEY.keys()


def test_reasons_that_a_check_passes_on_are_in_the_table() -> None:
    assert set(REASONS) <= BY_KEY.keys()
