"""Ten faults with servers that are not Redis, by the numbers under which they were found. None may return."""

import pytest

from redis_pulse.collectors.info import COLLECTOR, InfoOptions
from redis_pulse.metric import Sample, UnreadableField
from redis_pulse.server_info import SOFTWARE, Server, identify, repair
from redis_pulse.server_info.repairs import lag_is_no_time, whole_microseconds
from tests import test_compatible
from tests.fakes import FakeCommands, every_info
from tests.test_compatible import page, polls, values

PROFILES = {profile.name: profile for profile in SOFTWARE}


async def test_fault_1_heading_without_fields_is_no_reply() -> None:
    """Upstash answers an unknown section with its heading. There was no metric at all, and no error."""
    assert values(await page("upstash"))["redis_memory_used_bytes{}"] == 20480


async def test_fault_2_dragonfly_loses_no_sections() -> None:
    """It does not have ``INFO everything``. The default sections have no command statistics."""
    series = values(await page("dragonfly"))
    assert series['redis_commands_total{cmd="GET"}'] == 8418
    assert PROFILES["dragonfly"].info_forms[0] == ("all",)


async def test_fault_3_error_for_a_form_of_info_leads_to_the_next_one() -> None:
    """Garnet has an error for a section that it does not have."""
    assert values(await page("garnet"))["redis_connected_clients{}"] == 2


@pytest.mark.parametrize("name", ["dragonfly", "kvrocks", "pika"])
async def test_fault_4_lag_in_records_is_not_seconds(name: str) -> None:
    assert lag_is_no_time in PROFILES[name].repairs
    assert "lag_seconds" not in await page(name)


async def test_fault_4b_cpu_time_of_dragonfly_does_not_decrease() -> None:
    assert whole_microseconds in PROFILES["dragonfly"].repairs
    assert values(await page("dragonfly"))["redis_cpu_sys_seconds_total{}"] == 31.000040


async def test_fault_5_section_is_found_in_any_case() -> None:
    """Kvrocks writes ``# CommandStats``."""
    assert values(await page("kvrocks"))['redis_commands_total{cmd="get"}'] == 30423


async def test_fault_6_underflow_of_an_unsigned_number_is_left_out() -> None:
    """An idle Redis 8.2 writes one for ``used_memory_dataset``. The test of INFO has the count."""
    text = test_compatible.text("keydb").decode() + "# Memory\r\nused_memory_dataset:18446744073709525176\r\n"
    series = await _series(text)
    assert "redis_memory_used_bytes" in series
    assert "redis_memory_used_dataset_bytes" not in series


async def test_fault_7_unknown_mean_ttl_is_left_out() -> None:
    """Dragonfly writes ``avg_ttl=-1``."""
    assert "redis_db_avg_ttl_seconds" not in await page("dragonfly")


@pytest.mark.parametrize("name", ["dragonfly", "garnet"])
async def test_fault_8_value_that_is_not_measured_is_not_unreadable(name: str) -> None:
    """A counter of -1 and ``N/A`` counted as unreadable at every poll."""
    runs, _, _ = await polls(name)
    assert [item for run in runs[-1] for item in run.items or () if isinstance(item, UnreadableField)] == []


@pytest.mark.parametrize("name", test_compatible.SERVERS)
async def test_fault_9_software_has_its_own_name_and_version(name: str) -> None:
    _, server, _ = await polls(name)
    expected = test_compatible.SERVERS[name]
    assert (server.software, server.version) == (expected.software, expected.version)


async def test_fault_10_role_in_a_heading_is_cut() -> None:
    """Pika writes ``# Replication(MASTER)``."""
    assert values(await page("pika"))["redis_connected_slaves{}"] == 2


def test_repairs_of_one_server_do_not_change_another() -> None:
    info = {
        "Server": {"redis_version": "7.2.4"},
        "CPU": {"used_cpu_sys": "1.40"},
        "Replication": {"slave0": "ip=h,port=1,state=online,offset=5,lag=2"},
    }
    copy = {section: dict(fields) for section, fields in info.items()}
    assert repair(info) == copy
    assert identify(info["Server"]).profile.repairs == ()


async def _series(text: str) -> set[str]:
    """Return the names of the metrics that the collector of INFO reads from a text."""
    items = await COLLECTOR.collect(Server(), FakeCommands(every_info(text.encode())), InfoOptions())
    return {item.metric.full_name for item in items if isinstance(item, Sample)}
