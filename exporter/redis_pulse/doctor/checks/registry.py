"""The checks of one target, in the order in which doctor runs them."""

from collections.abc import Sequence

from redis_pulse.doctor.checks import cost, latency, login, name, permissions, protocol, server, tcp, tls, topology
from redis_pulse.doctor.examination import Check

TARGET_CHECKS: Sequence[tuple[str, Check]] = (
    ("name", name.check),
    ("tcp", tcp.check),
    ("tls", tls.check),
    ("protocol", protocol.check),
    ("login", login.check),
    ("permissions", permissions.check),
    ("topology", topology.check),
    ("server", server.check),
    ("latency", latency.check),
    ("cost", cost.check),
)
