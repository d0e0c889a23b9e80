"""A slow median is blamed on the network only if the kernel measured that share of it."""

from typing import Any

import pytest

from redis_pulse.client import TcpInfo
from redis_pulse.doctor.checks import latency
from redis_pulse.doctor.examination import Examination
from redis_pulse.doctor.first_contact import Contact
from tests.harness import target_settings


class Connected:
    """A connection of which only the kernel's view is needed."""

    def __init__(self, rtt: float) -> None:
        self._rtt = rtt

    def tcp_info(self) -> TcpInfo:
        return TcpInfo(1, 0, 0, 0.2, 0, self._rtt, 0, 0, self._rtt)


@pytest.mark.parametrize(
    ("seconds", "rtt", "noise", "codes"),
    [
        (0.0002, 0.0001, 0.0, ["RP504"]),
        (0.090, 0.0001, 0.0, ["RP501", "RP504"]),
        (0.090, 0.085, 0.0, ["RP503", "RP504"]),
        (0.0002, 0.0001, 0.5, ["RP504", "RP703"]),
    ],
)
async def test_cause_of_a_slow_median_is_named(seconds: float, rtt: float, noise: float, codes: list[str]) -> None:
    examination = Examination(target_settings(), {})
    connection: Any = Connected(rtt)
    examination.contact = Contact(connection, "ping", None, {})
    latency._report(examination, [seconds] * 5, noise)
    assert examination.findings.codes() == codes
