"""Which targets a scrape may add, how long they stay, and what a reload changes."""

from collections.abc import Sequence

import pytest

from redis_pulse.config import AdoptRules, AdoptSettings, TargetSettings
from redis_pulse.discovery import AdoptedTargets, AdoptError
from tests.fakes import ManualClock
from tests.harness import target_settings

NAMES = {"in.redis.svc": ["10.0.0.7"], "out.redis.svc": ["192.0.2.7"], "two.redis.svc": ["192.0.2.7", "10.0.0.9"]}


async def resolve(name: str) -> Sequence[str]:
    if name not in NAMES:
        raise OSError(-2, "Name or service not known")
    return NAMES[name]


def rules(*allow: str, module: str | None = None, maximum: int = 3) -> AdoptRules:
    plain = target_settings("redis://to-be-found")
    modules = {
        "prod": target_settings("redis://to-be-found", username="exporter"),
        "secure": target_settings("rediss://to-be-found"),
    }
    template = plain if module is None else modules[module]
    return AdoptRules(AdoptSettings(allow=allow, module=module, max=maximum), template, modules)


class Harness:
    def __init__(self, given: AdoptRules | None) -> None:
        self.clock = ManualClock()
        self.adopted = AdoptedTargets(self.clock, resolve)
        self.adopted.configure(given)

    async def adopt(self, text: str, module: str | None = None) -> TargetSettings:
        target = self.adopted.target_of(text, module)
        await self.adopted.check_addresses(target)
        self.adopted.add(target, module)
        return target

    async def refusal(self, text: str, module: str | None = None) -> str:
        with pytest.raises(AdoptError) as caught:
            await self.adopt(text, module)
        assert "hunter2" not in str(caught.value)
        return caught.value.reason

    @property
    def names(self) -> list[str]:
        return [target.name for target in self.adopted.besides([])]


@pytest.mark.parametrize("text", ["10.0.0.7:6379", "redis://10.0.0.7:6379", "10.0.0.7", "valkey://10.0.0.7"])
async def test_target_is_written_as_for_redis_exporter(text: str) -> None:
    target = await Harness(rules("10.0.0.0/8")).adopt(text)
    assert (target.name, target.address) == ("10.0.0.7:6379", "10.0.0.7:6379")
    assert target.permitted is not None


async def test_database_of_the_url_is_read() -> None:
    assert (await Harness(rules("10.0.0.0/8")).adopt("redis://10.0.0.7/3")).db == 3


@pytest.mark.parametrize(
    "text",
    [
        *("redis://u:hunter2@10.0.0.7:6379", "redis://:hunter2@10.0.0.7", "u:hunter2@10.0.0.7"),
        *("redis://10.0.0.7?password=hunter2", "redis://10.0.0.7?PASSWORD=hunter2", "http://x?username=hunter2"),
    ],
)
async def test_credentials_are_refused_and_not_repeated(text: str) -> None:
    assert await Harness(rules("10.0.0.0/8")).refusal(text) == "credentials"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        *(("http://10.0.0.7", "unreadable"), ("10.0.0.7:hunter2", "unreadable"), ("10.0.0.7:70000", "unreadable")),
        *(("x" * 400, "unreadable"), ("redis://10.0.0.7/x", "unreadable"), ("a\x07b:1", "unreadable")),
        *(("redis://10.0.0.7?ssl_cert_reqs=none", "unreadable"), ("redis-sentinel://a", "unreadable")),
        *(("unix:///run/redis.sock", "not_allowed"), ("/run/redis.sock", "not_allowed")),
        *(("11.0.0.7:6379", "not_allowed"), ("127.0.0.1:6379", "not_allowed"), ("[::1]:6379", "not_allowed")),
        *(("out.redis.svc:6379", "not_allowed"), ("gone.redis.svc:6379", "unresolved")),
    ],
)
async def test_other_texts_and_servers_are_refused(text: str, reason: str) -> None:
    assert await Harness(rules("10.0.0.0/8")).refusal(text) == reason


async def test_name_is_judged_by_its_addresses() -> None:
    harness = Harness(rules("10.0.0.0/8"))
    assert (await harness.adopt("in.redis.svc:6379")).name == "in.redis.svc:6379"
    assert (await harness.adopt("two.redis.svc")).name == "two.redis.svc:6379"


async def test_name_must_be_in_a_list_that_has_names() -> None:
    harness = Harness(rules("10.0.0.0/8", "in.redis.svc"))
    await harness.adopt("in.redis.svc")
    await harness.adopt("10.9.9.9")
    assert await harness.refusal("two.redis.svc") == "not_allowed"


async def test_list_of_names_permits_no_address_and_no_local_one(monkeypatch: pytest.MonkeyPatch) -> None:
    harness = Harness(rules("*.redis.svc"))
    assert await harness.refusal("192.0.2.7:6379") == "not_allowed"
    assert (await harness.adopt("out.redis.svc")).name == "out.redis.svc:6379"
    monkeypatch.setitem(NAMES, "meta.redis.svc", ["169.254.169.254"])
    assert await harness.refusal("meta.redis.svc") == "not_allowed"


async def test_module_of_the_request_replaces_that_of_the_settings() -> None:
    harness = Harness(rules("10.0.0.0/8", module="prod"))
    assert (await harness.adopt("10.0.0.1")).username == "exporter"
    assert (await harness.adopt("10.0.0.2", "secure")).endpoint.tls
    assert await harness.refusal("10.0.0.3", "secur") == "module"
    assert await harness.refusal("redis://10.0.0.3", "secure") == "not_allowed"  # it would switch TLS off


async def test_limit_is_the_number_of_targets_and_forgetting_makes_room() -> None:
    harness = Harness(rules("10.0.0.0/8", maximum=2))
    await harness.adopt("10.0.0.1")
    await harness.adopt("10.0.0.2")
    assert await harness.refusal("10.0.0.3") == "too_many"
    harness.clock.advance(599)
    assert harness.adopted.asked("10.0.0.2:6379", None) is False
    harness.clock.advance(2)
    assert harness.adopted.forget_unasked() == ["10.0.0.1:6379"]
    await harness.adopt("10.0.0.3")
    assert harness.names == ["10.0.0.2:6379", "10.0.0.3:6379"]


async def test_another_module_replaces_one_that_nobody_asks_for() -> None:
    """Two jobs with two modules would otherwise change the target at each scrape."""
    harness = Harness(rules("10.0.0.0/8"))
    await harness.adopt("10.0.0.1")
    with pytest.raises(AdoptError, match=r"is scraped without a module") as caught:
        harness.adopted.asked("10.0.0.1:6379", "prod")
    assert caught.value.reason == "module"
    harness.clock.advance(61)
    assert harness.adopted.asked("10.0.0.1:6379", "prod") is True
    (target,) = harness.adopted.besides([])
    assert target.username == "exporter"


async def test_default_module_may_be_named() -> None:
    harness = Harness(rules("10.0.0.0/8", module="prod"))
    await harness.adopt("10.0.0.1")
    assert harness.adopted.asked("10.0.0.1:6379", "prod") is False


async def test_configured_target_takes_the_place_of_an_adopted_one() -> None:
    harness = Harness(rules("10.0.0.0/8"))
    for host in ("10.0.0.1", "10.0.0.2", "10.0.0.3"):
        await harness.adopt(host)
    others = [target_settings("redis://10.0.0.1", name="cart"), target_settings("redis://[::9]", name="10.0.0.2:6379")]
    assert [target.name for target in harness.adopted.besides(others)] == ["10.0.0.3:6379"]
    assert harness.names == ["10.0.0.3:6379"]


async def test_reload_keeps_targets_with_the_new_settings_of_their_modules() -> None:
    harness = Harness(rules("10.0.0.0/8"))
    await harness.adopt("10.0.0.1")
    await harness.adopt("10.0.0.2", "prod")
    harness.adopted.configure(rules("10.0.0.0/8", module="prod"))
    assert [target.username for target in harness.adopted.besides([])] == ["exporter", "exporter"]
    assert harness.adopted.asked("10.0.0.1:6379", None) is False


async def test_reload_drops_what_it_no_longer_allows() -> None:
    harness = Harness(rules("10.0.0.0/8"))
    for host in ("10.0.0.1", "10.1.0.1", "10.1.0.2"):
        await harness.adopt(host)
    await_names = {"10.1.0.0/16": ["10.1.0.1:6379", "10.1.0.2:6379"], "10.1.0.2/32": ["10.1.0.2:6379"]}
    for allow, names in await_names.items():
        harness.adopted.configure(rules(allow))
        assert harness.names == names
    harness.adopted.configure(None)
    assert not harness.adopted.is_enabled
    assert harness.names == []
