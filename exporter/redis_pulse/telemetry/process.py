"""Metrics of the process that the client library for Python lacks, and that of Go has.

Dashboards of redis_exporter show them. Other systems than Linux have no such files, and then no series.
"""

from collections.abc import Iterator
from pathlib import Path

from prometheus_client import Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

#: What Go shows for a limit that is not set: the largest number of 64 bits.
_UNLIMITED = float(2**64 - 1)


class ProcessLimitsAndNetwork(Collector):
    """Reads the limit of virtual memory, and the bytes of the network namespace of the process."""

    def __init__(self, proc: Path = Path("/proc/self")) -> None:
        self._proc = proc

    def collect(self) -> Iterator[Metric]:
        """Yield each metric whose file can be read."""
        if (limit := _address_space(_lines(self._proc / "limits"))) is not None:
            yield GaugeMetricFamily(
                "process_virtual_memory_max_bytes", "Maximum amount of virtual memory available in bytes.", limit
            )
        octets = _octets(_lines(self._proc / "net" / "netstat"))
        for name, field, text in (
            ("receive", "InOctets", "Bytes that the network namespace of the process received."),
            ("transmit", "OutOctets", "Bytes that the network namespace of the process sent."),
        ):
            if field in octets:
                yield CounterMetricFamily(f"process_network_{name}_bytes_total", text, octets[field])


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return []


def _address_space(limits: list[str]) -> float | None:
    for line in limits:
        if line.startswith("Max address space"):
            soft = line.removeprefix("Max address space").split()[0]
            return float(soft) if soft.isdigit() else _UNLIMITED
    return None


def _octets(netstat: list[str]) -> dict[str, float]:
    """Return the fields of the protocol IpExt. It has a line of names and a line of numbers."""
    rows = [line.split()[1:] for line in netstat if line.startswith("IpExt:")]
    if len(rows) != 2:
        return {}
    return {name: float(text) for name, text in zip(*rows, strict=False) if text.isdigit()}
