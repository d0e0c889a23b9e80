"""The metrics of the process that dashboards for exporters in Go show."""

from pathlib import Path

import pytest

from redis_pulse.telemetry import ExporterMetrics
from redis_pulse.telemetry.process import ProcessLimitsAndNetwork

LIMITS = """\
Limit                     Soft Limit           Hard Limit           Units
Max open files            1024                 524288               files
Max address space         {}            unlimited            bytes
"""
NETSTAT = """\
TcpExt: SyncookiesSent InOctets
TcpExt: 1 2
IpExt: InNoRoutes InOctets OutOctets
IpExt: 0 123456789 987654321
"""


def values(folder: Path) -> dict[str, float]:
    return {
        sample.name: sample.value for family in ProcessLimitsAndNetwork(folder).collect() for sample in family.samples
    }


@pytest.mark.parametrize(("soft", "expected"), [("unlimited", 18446744073709551615.0), ("4294967296", 4294967296.0)])
def test_files_of_linux_are_read(tmp_path: Path, soft: str, expected: float) -> None:
    (tmp_path / "net").mkdir()
    (tmp_path / "net" / "netstat").write_text(NETSTAT)
    (tmp_path / "limits").write_text(LIMITS.format(soft))
    assert values(tmp_path) == {
        "process_virtual_memory_max_bytes": expected,
        "process_network_receive_bytes_total": 123456789,
        "process_network_transmit_bytes_total": 987654321,
    }


@pytest.mark.parametrize("text", ["", "IpExt: InOctets\n", "IpExt: InOctets OutOctets\nIpExt: x\n", "\xff\x00"])
def test_other_files_yield_no_series(tmp_path: Path, text: str) -> None:
    assert values(tmp_path) == {}
    (tmp_path / "net").mkdir()
    (tmp_path / "net" / "netstat").write_text(text)
    (tmp_path / "limits").write_text(text)
    assert values(tmp_path) == {}


def test_metrics_are_on_the_page_of_this_machine() -> None:
    names = {family.name for family in ExporterMetrics("x").collect_own()}
    assert {"process_virtual_memory_max_bytes", "process_network_receive_bytes"} <= names
