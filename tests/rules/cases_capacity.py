"""Cases about memory, connections, CPU and error replies."""

from tests.rules.case import Case
from tests.rules.cases_availability import failed

USED, LIMIT = "redis_memory_used_bytes", "redis_memory_max_bytes"


def policy(name: str) -> str:
    return f'redis_instance_info{{maxmemory_policy="{name}"}}'


def errors(code: str) -> str:
    return f'redis_errors_total{{err="{code}"}}'


COMMANDS = "redis_commands_processed_total"
SYS, USER = (f"redis_cpu_{kind}_main_thread_seconds_total" for kind in ("sys", "user"))

CASES = [
    Case(
        "95 % of maxmemory is used with noeviction",
        {USED: "50x3 95x60", LIMIT: "100x63", policy("noeviction"): "1x63"},
        {"10m": "", "12m": "RedisMemoryNearMaxmemory cart warning"},
    ),
    Case(
        "99 % of maxmemory with noeviction is critical",
        {USED: "50x3 99x60", LIMIT: "100x63", policy("noeviction"): "1x63"},
        {"12m": "RedisMemoryNearMaxmemory cart warning, RedisMemoryNearMaxmemory cart critical"},
    ),
    Case(
        "full cache and server without a memory limit raise no alert",
        {
            USED: "99x60",
            LIMIT: "100x60",
            policy("allkeys-lru"): "1x60",
            f"{USED} sessions": "99x60",
            f"{LIMIT} sessions": "0x60",
            policy("noeviction") + " sessions": "1x60",
        },
        {"12m": ""},
    ),
    Case(
        "cache evicts one of 1000 keys each second, so all in 17 minutes",
        {
            "redis_evicted_keys_total": "0x3 0+15x100",
            'redis_db_keys{db="db0"}': "600x103",
            'redis_db_keys{db="db1"}': "400x103",
        },
        {"10m": "", "20m": "RedisEvicting cart warning"},
    ),
    Case(
        "cache evicts one of a million keys each second",
        {"redis_evicted_keys_total": "0+15x100", 'redis_db_keys{db="db0"}': "1000000x100"},
        {"20m": ""},
    ),
    Case(
        "nine of ten connections are used",
        {"redis_connected_clients": "10x3 90x40", "redis_max_clients": "100x43"},
        {"5m": "", "6m30s": "RedisConnectionsNearLimit cart warning"},
    ),
    Case(
        "eight of ten connections are used",
        {"redis_connected_clients": "80x40", "redis_max_clients": "100x40"},
        {"8m": ""},
    ),
    Case(
        "one rejected connection is reported immediately, for 5 minutes",
        {"redis_rejected_connections_total": "7x8 8x40"},
        {"1m45s": "", "2m30s": "RedisConnectionsRejected cart critical", "9m": ""},
    ),
    Case(
        "exporter is rejected too, so it cannot read the server's counter",
        {"redis_rejected_connections_total": "7x8", failed("maxclients", "connect"): "0x8 0+1x40"},
        {"1m45s": "", "4m": "RedisConnectionsRejected cart critical"},
    ),
    Case(
        "connections fail for another reason than a limit",
        {"redis_rejected_connections_total": "7x40", failed("refused", "connect"): "0+1x40"},
        {"5m": ""},
    ),
    Case(
        "main thread uses nine tenths of a core",
        {SYS: "0+4.5x80", USER: "0+9x80"},
        {"14m": "", "16m": "RedisMainThreadSaturated cart warning"},
    ),
    Case("main thread uses eight tenths of a core", {SYS: "0+3x80", USER: "0+9x80"}, {"13m": "", "18m": ""}),
    Case(
        "one tenth of the commands fails with WRONGTYPE",
        {errors("WRONGTYPE"): "0+15x40", COMMANDS: "0+150x40"},
        {"4m": "", "8m": "RedisErrorReplies cart warning"},
    ),
    Case(
        "one command of a hundred fails, and more have harmless errors",
        {
            errors("ERR"): "0+1.5x40",
            errors("MOVED"): "0+75x40",
            errors("NOSCRIPT"): "0+75x40",
            errors("LOADING"): "0+75x40",
            COMMANDS: "0+150x40",
        },
        {"8m": ""},
    ),
    Case(
        "two of only three commands fail",
        {errors("ERR"): "0x10 1 2x40", COMMANDS: "0x10 1 2 3x40"},
        {"4m": "", "8m": ""},
    ),
    Case(
        "few writes are rejected with OOM",
        {errors("OOM"): "0+1x40", COMMANDS: "0+1500x40"},
        {"4m": "", "6m30s": "RedisErrorRepliesOOM cart critical"},
    ),
    Case(
        "few writes are rejected with MISCONF",
        {errors("MISCONF"): "0+1x40", COMMANDS: "0+1500x40"},
        {"4m": "", "6m30s": "RedisErrorRepliesMISCONF cart critical"},
    ),
    Case(
        "clients write to a replica",
        {errors("READONLY"): "0+1x40", COMMANDS: "0+1500x40"},
        {"4m": "", "6m30s": "RedisErrorRepliesREADONLY cart warning"},
    ),
    Case(
        "writes were rejected for two minutes only",
        {errors("OOM"): "9x8 10 12 13x60", errors("MISCONF"): "4x60", errors("READONLY"): "4x60", COMMANDS: "0+9x60"},
        {"4m": "", "9m": "", "12m": ""},
    ),
]
