"""Cases about what fills a server. Values are an hour apart by default, because keys grow slowly."""

from tests.rules.case import Case

SAMPLE = "redis_keyspace_sample"
LABELS = 'db="db0", pattern="session:*", type="string"'
MEMORY, ERROR, KEYS, FOREVER, LARGEST = (
    f"{SAMPLE}_{name}{{{LABELS}}}"
    for name in ("memory_bytes", "memory_error_bytes", "keys", "without_expiry_ratio", "largest_key_bytes")
)
USED, LIMIT = "redis_memory_used_bytes", "redis_memory_max_bytes"
NOEVICTION = 'redis_instance_info{maxmemory_policy="noeviction"}'
EVICTS = 'redis_instance_info{maxmemory_policy="allkeys-lru"}'


def growth(values: str, error: str, policy: str = NOEVICTION, used: str = "6e9x1200") -> dict[str, str]:
    """Return a server with a limit of 10 GB and a pattern that grows. The values are a minute apart."""
    return {MEMORY: values, ERROR: error, USED: used, LIMIT: "10e9x1200", policy: "1x1200"}


SLOT = 'redis_slot_cpu_seconds_total{slot="449"}'

CASES = [
    Case(
        "pattern grows by 50 MB an hour, and 4 GB are left: full in 80 hours",
        growth("1e9+833333x1200", "10e6x1200"),
        {"6h30m": "", "7h30m": "RedisKeyPatternFillsMemory cart warning"},
        step="1m",
    ),
    Case(
        "pattern grows by 10 MB an hour: full in 400 hours",
        growth("1e9+166667x1200", "1e6x1200"),
        {"7h30m": "", "15h": ""},
        step="1m",
    ),
    Case(
        "growth within the error of the estimate is noise",
        growth("1e9+833333x1200", "400e6x1200"),
        {"7h30m": "", "15h": ""},
        step="1m",
    ),
    Case(
        "cache that evicts keys may be full",
        growth("1e9+833333x1200", "10e6x1200", policy=EVICTS),
        {"7h30m": "", "15h": ""},
        step="1m",
    ),
    Case(
        "one key takes a fifth of the memory",
        {LARGEST: "1e9x100", USED: "5e9x100"},
        {"5m": "", "11m": "RedisKeyTooLarge cart warning"},
    ),
    Case(
        "key of 5 % of the memory, and the only key of a small server, are no alert",
        {
            LARGEST: "0.25e9x100",
            USED: "5e9x100",
            LARGEST + " sessions": "1e6x100",
            USED + " sessions": "2e6x100",
        },
        {"20m": ""},
    ),
    Case(
        "3 % of two million keys that expire never do",
        {FOREVER: "0.03x400", KEYS: "2e6x400"},
        {"59m": "", "61m": "RedisKeysWithoutExpiry cart info"},
    ),
    Case(
        "pattern without any expiry, and a few keys without one, are no alert",
        {
            FOREVER: "1x400",
            KEYS: "2e6x400",
            FOREVER + " sessions": "0.03x400",
            KEYS + " sessions": "20000x400",
        },
        {"90m": ""},
    ),
    Case(
        "slot that uses 30 % of a core",
        {SLOT: "100+4.5x200"},
        {"14m": "", "23m": "RedisSlotHot cart warning"},
    ),
    Case(
        "slot that uses 10 %, and a slot that is hot for ten minutes, are no alert",
        {SLOT: "100+1.5x200", SLOT + " sessions": "100+0x20 104.5+4.5x40 280+0x140"},
        {"16m": "", "21m": "", "30m": "", "45m": ""},
    ),
]
