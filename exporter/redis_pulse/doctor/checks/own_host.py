"""Find out whether our own host has enough descriptors and CPU for the targets."""

from pathlib import Path

from redis_pulse import file_descriptors
from redis_pulse.doctor.findings import Findings

_CPU_MAX, _CPU_STAT = Path("/sys/fs/cgroup/cpu.max"), Path("/sys/fs/cgroup/cpu.stat")


def examine_host(targets: int, *, cpu_max: Path = _CPU_MAX, cpu_stat: Path = _CPU_STAT) -> Findings:
    """Return what limits a daemon with so many targets on this host."""
    findings = Findings("this host")
    findings.check = "host"
    limit = file_descriptors.raise_limit()
    needed = file_descriptors.required_limit(targets)
    if limit is not None and limit < needed:
        findings.add("host.descriptors", limit=limit, needed=needed, targets=targets)
    cpus = _cpu_limit(cpu_max)
    throttled = _throttled(cpu_stat)
    if cpus is not None:
        findings.add("host.cpu_limit", cpus=f"{cpus:g}", count=throttled)
    findings.done.append("host")
    return findings


def _cpu_limit(file: Path) -> float | None:
    """Return how many CPUs the cgroup allows, or None without a limit."""
    try:
        quota, period = file.read_text(encoding="ascii").split()[:2]
        return None if quota == "max" else int(quota) / int(period)
    except (OSError, ValueError):
        return None


def _throttled(file: Path) -> int:
    try:
        fields = dict(line.split() for line in file.read_text(encoding="ascii").splitlines())
        return int(fields.get("nr_throttled", "0"))
    except (OSError, ValueError):
        return 0
