"""All kinds of faults: how often each is chosen, and how long it lasts.

A function of ``server_faults`` or ``source_faults`` begins a fault, and returns how to end it. It returns None if the
fault is not possible now. A new kind is a function and a row of ``KINDS``.
"""

from dataclasses import dataclass

from simulate import server_faults, source_faults
from simulate.fault import Begin


@dataclass(frozen=True)
class FaultKind:
    """A kind of fault: how often it is chosen, and how long it lasts, in seconds."""

    name: str
    begin: Begin
    weight: int = 2
    duration: tuple[float, float] = (1.0, 90.0)
    #: whether it may last until the end of the next burst
    stays: bool = False


MOMENT = (0.0, 0.0)
KINDS = (
    FaultKind("refuse", server_faults.refuse, 4, stays=True),
    FaultKind("hang", server_faults.hang, 4, stays=True),
    FaultKind("restart", server_faults.restart, 2, MOMENT),
    FaultKind("crash", server_faults.crash_host, 3, MOMENT),
    FaultKind("cut", server_faults.cut, 4, stays=True),
    FaultKind("slow", server_faults.slow, 3),
    FaultKind("reset", server_faults.reset, 3, MOMENT),
    FaultKind("cut replies", server_faults.cut_replies, 3),
    FaultKind("loading", server_faults.loading, 3),
    FaultKind("password", server_faults.password),
    FaultKind("failover", server_faults.failover, 3, MOMENT),
    FaultKind("cluster failover", server_faults.cluster_failover, 2, MOMENT),
    FaultKind("slots", server_faults.migrate_slots, 2, MOMENT),
    FaultKind("node leaves", server_faults.remove_node),
    FaultKind("broken file", source_faults.broken_file),
    FaultKind("found targets", source_faults.found_targets, 3),
    FaultKind("moved target", source_faults.moved_targets, 4, MOMENT),
    FaultKind("inventory", source_faults.inventory, 3),
    FaultKind("listed targets", source_faults.listed_targets),
    FaultKind("names", source_faults.names),
    FaultKind("files hang", source_faults.files_hang),
    FaultKind("reload", source_faults.reload, 4),
    FaultKind("bad reload", source_faults.bad_reload),
    FaultKind("clock", source_faults.clock_step, 3),
    FaultKind("stall", source_faults.stall, 3, MOMENT),
    FaultKind("scrapers", source_faults.scrapers, 3, MOMENT),
    FaultKind("descriptors", source_faults.descriptors, 1, (1.0, 20.0)),
)
