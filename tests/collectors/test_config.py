from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redis_pulse.collectors import config
from redis_pulse.collectors.config import COLLECTOR
from redis_pulse.collectors.support.redact_settings import SettingsOptions
from redis_pulse.errors import LoadingError, PermissionDeniedError, TargetError
from redis_pulse.metric import KeptItems, Sample, UnreadableField
from redis_pulse.server_info import Server
from tests.fakes import FakeCommands
from tests.recordings import topology

DEFAULT, ALL = SettingsOptions(), SettingsOptions(include_config_metrics=True)
SETTINGS = ("maxclients", "maxmemory", "io-threads", "repl-backlog-size", "client-output-buffer-limit")
ODD = st.recursive(
    st.none() | st.integers() | st.binary(max_size=9) | st.sampled_from([name.encode() for name in SETTINGS]),
    lambda inner: st.lists(inner, max_size=6),
    max_leaves=12,
)
Values = dict[tuple[str, ...], float]


async def read(commands: FakeCommands, options: SettingsOptions = DEFAULT) -> tuple[Values, list[str]]:
    items = list(await COLLECTOR.for_target().collect(Server(), commands, options))
    samples = [sample for sample in items if isinstance(sample, Sample)]
    values = {(sample.metric.name, *sample.labels): sample.value for sample in samples}
    assert len(values) == len(samples), "duplicate series"
    return values, [part.location for part in items if isinstance(part, UnreadableField)]


def settings(**replies: Any) -> FakeCommands:
    """Return a server with these replies to ``CONFIG GET name``; other names have an empty reply."""
    replies_by_name = {name.replace("_", "-"): reply for name, reply in replies.items()}
    return FakeCommands({f"CONFIG GET {name}": replies_by_name.get(name, []) for name in SETTINGS})


@pytest.mark.parametrize("server", topology.SERVERS)
async def test_real_replies_are_read_completely(server: str) -> None:
    values, unreadable = await read(topology.commands(server))
    assert not unreadable
    assert values == {
        ("config_maxclients",): 10000,
        ("config_maxmemory",): 0,
        ("config_io_threads",): 1,
        ("config_repl_backlog_size",): 10485760 if server.startswith("valkey") else 1048576,
        ("config_client_output_buffer_limit_bytes", "normal", "hard"): 0,
        ("config_client_output_buffer_limit_bytes", "normal", "soft"): 0,
        ("config_client_output_buffer_limit_overcome_seconds", "normal", "soft"): 0,
        ("config_client_output_buffer_limit_bytes", "slave", "hard"): 268435456,
        ("config_client_output_buffer_limit_bytes", "slave", "soft"): 67108864,
        ("config_client_output_buffer_limit_overcome_seconds", "slave", "soft"): 60,
        ("config_client_output_buffer_limit_bytes", "pubsub", "hard"): 33554432,
        ("config_client_output_buffer_limit_bytes", "pubsub", "soft"): 8388608,
        ("config_client_output_buffer_limit_overcome_seconds", "pubsub", "soft"): 60,
    }


@pytest.mark.parametrize("server", topology.SERVERS)
async def test_all_settings_without_secrets_are_published_on_request(server: str) -> None:
    commands = topology.commands(server)
    values, unreadable = await read(commands, ALL)
    assert not unreadable
    assert commands.requests == ["CONFIG GET *"]
    assert values["config_maxclients",] == values["config_value", "maxclients"] == 10000
    assert values["config_key_value", "maxmemory-policy", "noeviction"] == 1
    assert values["config_key_value", "requirepass", "***"] == 1
    assert ("config_client_output_buffer_limit_bytes", "slave", "hard") in values
    assert not [labels for _, *labels in values if topology.PLANTED in labels]


async def test_each_setting_has_its_own_command_as_old_servers_require() -> None:
    commands = settings()
    await read(commands)
    assert commands.requests == [f"CONFIG GET {name}".upper() for name in SETTINGS]


async def test_server_that_denies_config_gets_only_one_command() -> None:
    commands = settings(maxclients=PermissionDeniedError("no"))
    with pytest.raises(PermissionDeniedError):
        await read(commands)
    assert commands.requests == ["CONFIG GET MAXCLIENTS"]


async def test_denied_or_missing_setting_has_no_sample() -> None:
    values, unreadable = await read(settings(maxclients=[b"maxclients", b"7"], maxmemory=PermissionDeniedError("no")))
    assert (values, unreadable) == ({("config_maxclients",): 7}, [])


async def test_unreadable_part_does_not_affect_other_parts() -> None:
    values, unreadable = await read(
        settings(
            maxclients=[b"maxclients", b"many"],
            maxmemory=LoadingError("loading"),
            io_threads=b"OK",
            repl_backlog_size=[b"repl-backlog-size", b"1048576", b"half"],
            client_output_buffer_limit=[
                b"client-output-buffer-limit",
                b"normal 0 x 0 beer 1 2 3 normal 1 1 1 pubsub 1",
            ],
        )
    )
    limit = "config_client_output_buffer_limit_bytes"
    assert values == {
        ("config_repl_backlog_size",): 1048576,
        (limit, "normal", "hard"): 0,
        ("config_client_output_buffer_limit_overcome_seconds", "normal", "soft"): 0,
    }
    assert sorted(unreadable) == [
        *["CONFIG GET"] * 3,  # not a list, half a pair, an error
        "CONFIG GET/client-output-buffer-limit",  # unknown class
        "CONFIG GET/client-output-buffer-limit",  # duplicate class
        "CONFIG GET/client-output-buffer-limit",  # cut off
        "CONFIG GET/client-output-buffer-limit: bytes",
        "CONFIG GET/maxclients",
    ]


@given(st.lists(ODD, min_size=5, max_size=5))
async def test_any_reply_is_read_without_an_exception(replies: list[Any]) -> None:
    await read(FakeCommands({f"CONFIG GET {name}": reply for name, reply in zip(SETTINGS, replies, strict=True)}))


@given(st.lists(st.binary(max_size=9), max_size=9))
async def test_any_list_of_settings_is_read_without_an_exception(reply: list[bytes]) -> None:
    await read(FakeCommands({"CONFIG GET *": reply}), ALL)


@given(st.text(alphabet="normal pubsub0123 -x\t", max_size=60))
async def test_any_buffer_limit_is_read_without_an_exception(limits: str) -> None:
    await read(settings(client_output_buffer_limit=[b"client-output-buffer-limit", limits.encode()]))


def test_sentinel_has_no_config() -> None:
    assert COLLECTOR.applies(Server(mode="standalone"))
    assert not COLLECTOR.applies(Server(mode="sentinel"))


async def test_setting_with_an_error_is_requested_once_for_each_server() -> None:
    """Redis Enterprise has an error for a setting that it does not have. That is no failure of the collector."""
    commands = settings(maxmemory=[b"maxmemory", b"7"], maxclients=TargetError("Unsupported CONFIG parameter"))
    commands.replies["CONFIG GET IO-THREADS"] = TargetError("Unsupported CONFIG parameter")
    collector, server = COLLECTOR.for_target(), Server(run_id="a")
    for _ in range(2):
        [sample] = await collector.collect(server, commands, DEFAULT)
        assert isinstance(sample, Sample)
        assert (sample.metric.name, sample.value) == ("config_maxmemory", 7)
    assert commands.requests.count("CONFIG GET MAXCLIENTS") == commands.requests.count("CONFIG GET IO-THREADS") == 1
    assert commands.requests.count("CONFIG GET MAXMEMORY") == 2
    await collector.collect(Server(run_id="b"), commands, DEFAULT)
    assert commands.requests.count("CONFIG GET MAXCLIENTS") == 2


@pytest.mark.parametrize("reply", [[b"maxclients", b"1" * 100_000], [b"maxclients", b"1"] * 1000])
async def test_large_reply_of_a_hostile_server_is_not_kept(reply: list[bytes]) -> None:
    async def collect(maxclients: list[bytes]) -> object:
        return await COLLECTOR.for_target().collect(Server(), settings(maxclients=maxclients), DEFAULT)

    usual = await collect([b"maxclients", b"7"])
    assert type(usual) is KeptItems
    assert await collect([b"maxclients", b"7"]) is usual
    kept = config._known_items.cache_info()
    assert type(await collect(reply)) is not KeptItems
    assert config._known_items.cache_info() == kept
