"""A CPU limit of the cgroup is a note, with how often it throttled us."""

from pathlib import Path

import pytest

from redis_pulse.doctor.checks.own_host import examine_host


@pytest.mark.parametrize(("quota", "codes"), [("max 100000", []), ("50000 100000", ["RP704"]), ("broken", [])])
def test_cpu_limit_is_named(tmp_path: Path, quota: str, codes: list[str]) -> None:
    (tmp_path / "max").write_text(quota)
    (tmp_path / "stat").write_text("nr_periods 9\nnr_throttled 4\n")
    found = examine_host(1, cpu_max=tmp_path / "max", cpu_stat=tmp_path / "stat")
    assert found.codes() == codes
    assert all("0.5 CPUs, and has throttled us 4 times" in finding.advice.why for finding in found)


def test_host_without_cgroups_has_no_finding(tmp_path: Path) -> None:
    assert examine_host(1, cpu_max=tmp_path / "a", cpu_stat=tmp_path / "b").codes() == []
