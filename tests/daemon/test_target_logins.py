"""The metrics of a login that expires follow the settings of its target."""

from redis_pulse.config import CredentialsSettings
from tests.daemon.conftest import ManagerHarness, target
from tests.fakes import FakeServer
from tests.harness import all_samples, eventually, metric_value

EXPIRY, FAILURES = "redis_credentials_expiry_timestamp_seconds", "redis_credentials_refresh_failures_total"
OFTEN = {"interval": 0.05, "timeout": 1}


def printing(text: str) -> CredentialsSettings:
    return CredentialsSettings.model_validate({"command": ["/bin/echo", text]})


def series(manager: ManagerHarness) -> set[str]:
    return {sample.name for sample in all_samples(manager.metrics)} & {EXPIRY, FAILURES}


async def test_expiry_and_failures_are_published(manager: ManagerHarness, server: FakeServer) -> None:
    source = printing('{"password": "p", "expires_at": 4000000000}')
    await manager.targets.apply([target(name, server.url, probe=OFTEN, token_source=source) for name in ("a", "b")])
    await eventually(lambda: manager.up("a") == 1 and manager.up("b") == 1)
    for name in ("a", "b"):
        assert metric_value(manager.metrics, EXPIRY, target=name) == 4_000_000_000
        assert metric_value(manager.metrics, FAILURES, target=name, reason="program") == 0
    assert len(manager.targets.tokens._tokens) == 1, "both share one token"
    await manager.targets.apply([target("a", server.url, probe=OFTEN, token_source=printing("two\tfields"))])
    await eventually(lambda: metric_value(manager.metrics, FAILURES, target="a", reason="output") >= 1)
    assert metric_value(manager.metrics, FAILURES, target="b", reason="output") == 0


async def test_target_that_gets_a_password_has_no_such_series(manager: ManagerHarness, server: FakeServer) -> None:
    await manager.targets.apply([target("a", server.url, probe=OFTEN, token_source=printing("p"))])
    await eventually(lambda: manager.up("a") == 1)
    assert series(manager) == {FAILURES}, "a password without an end has no expiry"
    await manager.targets.apply([target("a", server.url, probe=OFTEN)])
    assert series(manager) == set()
