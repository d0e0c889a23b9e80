from collections.abc import Mapping

from redis_pulse.collectors.info.threads import read_threads
from redis_pulse.metric import OverflowCount, Sample, UnreadableField


def read(cpu: Mapping[str, str], threads: Mapping[str, str]) -> dict[tuple[str, ...], float]:
    items = list(read_threads(cpu, threads))
    return {(item.metric.name, *item.labels): item.value for item in items if isinstance(item, Sample)}


def test_each_thread_has_its_clients_reads_and_writes() -> None:
    values = read({}, {"io_thread_0": "clients=1,reads=51,writes=25", "io_thread_11": "clients=0,reads=2,writes=3"})
    assert values == {
        ("io_thread_clients", "0"): 1,
        ("io_thread_reads_total", "0"): 51,
        ("io_thread_writes_total", "0"): 25,
        ("io_thread_clients", "11"): 0,
        ("io_thread_reads_total", "11"): 2,
        ("io_thread_writes_total", "11"): 3,
    }


def test_each_io_thread_has_its_active_time() -> None:
    assert read({"used_active_time_io_thread_1": "0.5", "used_cpu_sys": "1"}, {}) == {
        ("active_time_io_thread_seconds_total", "1"): 0.5
    }


def test_line_without_a_known_pair_is_counted() -> None:
    assert next(read_threads({}, {"io_thread_0": "busy"})) == UnreadableField("Threads/io_thread_N:clients")


def test_servers_with_more_threads_than_any_server_has_are_cut() -> None:
    cpu = {f"used_active_time_io_thread_{number}": "1" for number in range(300)}
    threads = {f"io_thread_{number}": "clients=1,reads=1,writes=1" for number in range(300)}
    items = list(read_threads(cpu, threads))
    assert [item.values for item in items if isinstance(item, OverflowCount)] == [44, 44]
    assert len([item for item in items if isinstance(item, Sample)]) == 256 + 3 * 256
