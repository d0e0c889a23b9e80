from redis_pulse.collectors.info import COLLECTOR, InfoOptions
from redis_pulse.metric import Sample
from redis_pulse.server_info import Server
from tests.fakes import FakeCommands, every_info

INFO = (
    "# Memory\r\nused_memory:1000\r\nmaxmemory:4000\r\n# Hotkeys\r\n"
    "tracking_active:1\r\nused_memory:5\r\ncpu_time:1500\r\n"
)


async def read(info: str, server: Server) -> dict[str, float]:
    items = await COLLECTOR.collect(server, FakeCommands(every_info(info)), InfoOptions(empty_databases=0))
    return {item.metric.name: item.value for item in items if isinstance(item, Sample)}


async def test_memory_of_hotkeys_never_replaces_that_of_the_server() -> None:
    """Both sections have a field ``used_memory``. Redis 8.6 writes the section Hotkeys."""
    for info in (INFO, "# Hotkeys\r\nused_memory:5\r\n" + INFO):
        values = await read(info, server := Server())
        assert values["memory_used_bytes"] == 1000
        assert values["memory_maxmemory_ratio"] == 0.25
        assert server.fields["used_memory"] == "1000"
        assert values["hotkeys_memory_used_bytes"] == 5


async def test_hotkeys_have_their_state_and_cost() -> None:
    values = await read(INFO, Server())
    assert (values["hotkeys_tracking_active"], values["hotkeys_cpu_seconds_total"]) == (1, 1.5)


async def test_server_without_memory_section_does_not_get_that_of_hotkeys() -> None:
    values = await read("# Server\r\nuptime_in_seconds:1\r\n# Hotkeys\r\nused_memory:5\r\n", Server())
    assert "memory_used_bytes" not in values
