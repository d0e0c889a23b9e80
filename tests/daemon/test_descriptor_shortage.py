"""A lack of file descriptors is logged once, with the limit that is needed."""

import pytest

from redis_pulse import file_descriptors, log
from redis_pulse.daemon.runtime_monitor import DescriptorMonitor


@pytest.fixture(autouse=True)
def _limit(monkeypatch: pytest.MonkeyPatch) -> None:
    log.setup()
    monkeypatch.setattr(file_descriptors, "limit", lambda: 256)
    monkeypatch.setattr(file_descriptors, "shortages", 0)


def test_low_limit_is_logged_once_for_each_number_of_targets(capsys: pytest.CaptureFixture[str]) -> None:
    log.setup()
    monitor = DescriptorMonitor()
    monitor.check(10)
    assert capsys.readouterr().err == ""
    for _ in range(3):
        monitor.check(100)
    (line,) = capsys.readouterr().err.splitlines()
    assert "the limit of open files is low for so many targets" in line
    assert "limit=256 targets=100" in line
    assert "LimitNOFILE=512" in line
    monitor.check(200)
    assert "LimitNOFILE=768" in capsys.readouterr().err


def test_skipped_targets_are_logged_once_and_not_one_line_each(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    log.setup()
    monitor = DescriptorMonitor()
    monitor.check(10)
    monitor.tick()
    assert capsys.readouterr().err == ""
    for count in range(1, 5):
        monkeypatch.setattr(file_descriptors, "shortages", count)
        monitor.tick()
    (line,) = capsys.readouterr().err.splitlines()
    assert "targets are skipped: there is no descriptor" in line
