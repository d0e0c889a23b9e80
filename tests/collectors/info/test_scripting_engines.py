from redis_pulse.collectors.info.scripting_engines import read_scripting_engines
from redis_pulse.metric import OverflowCount, Sample, UnreadableField

LUA = "name=LUA,module=built-in,abi_version=1,used_memory=20,memory_overhead=21"


def test_engines_have_sums_and_series_of_their_own() -> None:
    section = {
        "engines_count": "2",
        "engines_total_used_memory": "50",
        "engines_total_memory_overhead": "52",
        "engine_0": LUA,
        "engine_1": "memory_overhead=31,used_memory=30,abi_version=2,module=example,name=JS",
    }
    items = list(read_scripting_engines(section))
    assert {(item.metric.name, *item.labels): item.value for item in items if isinstance(item, Sample)} == {
        ("scripting_engines_count",): 2,
        ("scripting_engines_memory_used_bytes",): 50,
        ("scripting_engines_memory_overhead_bytes",): 52,
        ("scripting_engine_info", "LUA", "built-in", "1"): 1,
        ("scripting_engine_memory_used_bytes", "LUA", "built-in", "1"): 20,
        ("scripting_engine_memory_overhead_bytes", "LUA", "built-in", "1"): 21,
        ("scripting_engine_info", "JS", "example", "2"): 1,
        ("scripting_engine_memory_used_bytes", "JS", "example", "2"): 30,
        ("scripting_engine_memory_overhead_bytes", "JS", "example", "2"): 31,
    }


def test_engine_without_a_name_or_twice_is_counted() -> None:
    items = list(read_scripting_engines({"engine_0": LUA, "engine_1": LUA, "engine_2": "used_memory=1"}))
    assert [item for item in items if isinstance(item, UnreadableField)] == [
        UnreadableField("Scripting Engines/engine_N:name")
    ] * 2


def test_engines_beyond_the_limit_are_counted() -> None:
    section = {f"engine_{number}": f"name=E{number},used_memory=1,memory_overhead=1" for number in range(25)}
    items = list(read_scripting_engines(section))
    assert [item.values for item in items if isinstance(item, OverflowCount)] == [5]
    assert len([item for item in items if isinstance(item, Sample)]) == 60
