"""Fakes, on a real socket, of servers that are in no package: managed services and other software.

Each has the known replies of such a server, shortened: INFO, some commands, and its error for all other commands.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.fakes import Command, FakeServer, Reply, Response, error


@dataclass(frozen=True)
class ServiceProfile:
    """The replies of one kind of server."""

    #: The INFO text; line ends are converted to CRLF.
    info: str
    #: Command → reply.
    replies: Mapping[str, Any] = field(default_factory=dict)
    #: The error for an unknown command; ``{name}`` and ``{sub}`` are the words of the command.
    unknown: str = "ERR unknown command '{name}'"
    #: Command → error, for commands with another error.
    refused: Mapping[str, str] = field(default_factory=dict)


class ProfileServer(FakeServer):
    """A server that sends the replies of a profile, and records its error replies."""

    def __init__(self, profile: ServiceProfile) -> None:
        super().__init__()
        self.profile = profile
        #: Each command that got an error as its reply.
        self.refused: list[str] = []

    def _response(self, command: Command) -> Response:
        name, sub = command[0].upper(), (command[1].upper() if len(command) > 1 else "")
        replies = {"PING": b"PONG", "SELECT": b"OK", "INFO": encode_info(self.profile.info)} | dict(
            self.profile.replies
        )
        for key in (" ".join(command).upper(), f"{name} {sub}", name):
            if key in replies:
                return Reply(encode(replies[key]))
        self.refused.append(f"{name} {sub}")
        texts = (self.profile.refused.get(key) for key in (f"{name} {sub}", name))
        text = next((text for text in texts if text is not None), self.profile.unknown)
        return error(text.format(name=command[0], sub=command[1] if sub else ""))


def encode_info(text: str) -> bytes:
    """Return the text in the format of INFO: without the first line break, each line ended by CRLF."""
    return text.strip("\n").replace("\n", "\r\n").encode() + b"\r\n"


def encode(reply: Any) -> bytes:
    """Encode a reply as RESP2."""
    match reply:
        case None:
            return b"$-1\r\n"
        case int():
            return b":%d\r\n" % reply
        case list():
            return b"*%d\r\n" % len(reply) + b"".join(map(encode, reply))
        case str():
            return encode(reply.encode())
    return b"$%d\r\n%b\r\n" % (len(reply), reply)


#: A service behind HTTP: INFO has few fields and unusual section names, and most commands are missing.
UPSTASH = ServiceProfile(
    info="""
# Server
upstash_version:1.12.4
redis_version:6.2.6
redis_mode:standalone
uptime_in_seconds:8640000

# Clients
connected_clients:3
maxclients:1000

# Data
total_data_size:52428800
max_data_size:268435456

# Memory
used_memory:52428800
maxmemory:268435456

# Keyspace
db0:keys=1204,expires=17
""",
    replies={"DBSIZE": 1204, "SCAN": [b"0", []]},
    unknown="ERR Command is not available: '{name}'. See https://upstash.com/docs/redis/overall/rediscompatibility",
)

#: A managed Redis without CONFIG and some other commands. The remaining ones are those of Redis, but its ACL denies
#: LATENCY and SLOWLOG.
ELASTICACHE = ServiceProfile(
    info="""
# Server
redis_version:7.1.0
redis_mode:cluster
os:Amazon ElastiCache
arch_bits:64
run_id:0
tcp_port:6379
uptime_in_seconds:5127
uptime_in_days:0
hz:10
configured_hz:10

# Clients
connected_clients:12
cluster_connections:4
maxclients:65000
blocked_clients:0

# Memory
used_memory:28311552
used_memory_human:27.00M
maxmemory:3461349376
maxmemory_policy:volatile-lru
mem_fragmentation_ratio:1.09

# Stats
total_connections_received:1502
total_commands_processed:188211
instantaneous_ops_per_sec:12
keyspace_hits:5117
keyspace_misses:31
evicted_keys:0
total_error_replies:4

# Replication
role:master
connected_slaves:1
slave0:ip=10.0.3.17,port=6379,state=online,offset=1201,lag=1
master_repl_offset:1201

# CPU
used_cpu_sys:2.213412
used_cpu_user:9.884211

# Commandstats
cmdstat_get:calls=5148,usec=10123,usec_per_call=1.97,rejected_calls=0,failed_calls=0
cmdstat_info:calls=311,usec=15123,usec_per_call=48.63

# Errorstats
errorstat_ERR:count=4

# Cluster
cluster_enabled:1

# Keyspace
db0:keys=5123,expires=4711,avg_ttl=86399000,subexpiry=0
""",
    replies={"CLUSTER INFO": "cluster_state:ok\r\ncluster_slots_assigned:16384\r\ncluster_known_nodes:2\r\n"},
    unknown="ERR unknown command '{name}', with args beginning with: '{sub}' ",
    refused={
        "LATENCY": "NOPERM this user has no permissions to run the 'latency|{sub}' command",
        "SLOWLOG": "NOPERM this user has no permissions to run the 'slowlog|{sub}' command",
        "CLIENT": "NOPERM this user has no permissions to run the 'client|{sub}' command or its subcommand",
    },
)

#: Another engine with its own fields. It writes -1 for unknown values, and six values in a line of the keyspace.
DRAGONFLY = ServiceProfile(
    info="""
# Server
redis_version:7.4.0
dragonfly_version:df-v1.35.1
redis_mode:standalone
arch_bits:64
os:Linux 6.1.0 x86_64
thread_count:4
multiplexing_api:iouring
tcp_port:6379
uptime_in_seconds:11933
uptime_in_days:0

# Clients
connected_clients:14
max_clients:64000
client_read_buffer_bytes:3328
blocked_clients:0
pipeline_queue_length:0

# Memory
used_memory:1049856
used_memory_human:1.00MiB
used_memory_peak:1059856
fibers_stack_vms:8781600
used_memory_rss:29327360
maxmemory:17091985408
maxmemory_human:15.92GiB
cache_mode:store

# Stats
total_connections_received:14
total_commands_processed:6613722
instantaneous_ops_per_sec:10063
instantaneous_input_kbps:-1
instantaneous_output_kbps:-1
total_reads_processed:6613722
expired_keys:11803
evicted_keys:0
hard_evictions:0
keyspace_hits:615673450
keyspace_misses:2089512
defrag_attempt_total:0

# Tiered
tiered_entries:0

# Persistence
current_snapshot_perc:0
last_success_save:1795379000
last_saved_file:
loading:0
saving:0

# Replication
role:master
connected_slaves:1
slave0:ip=10.0.3.18,port=6379,state=stable_sync,lag=0
master_replid:d612fa8c6d30ba2ab02ba1e2e1d3d0ba4ba6fd68

# Cpu
used_cpu_sys:76.921
used_cpu_user:421.331
used_cpu_sys_children:0.0

# Commandstats
cmdstat_get:calls=512,usec=2331,usec_per_call=4.55273
cmdstat_info:calls=3,usec=951,usec_per_call=317

# Keyspace
db0:keys=4,expires=0,hits=602214,misses=55680191,hit_ratio=1.07,avg_ttl=-1
db741:keys=55660026,expires=0,hits=602214,misses=55680191,hit_ratio=1.07,avg_ttl=-1

# Cluster
cluster_enabled:0
""",
    replies={
        "CONFIG GET": ["maxclients", "64000", "maxmemory", "17091985408", "dbnum", "16"],
        "CLIENT LIST": "id=3 addr=10.0.0.1:40000 laddr=10.0.0.2:6379 fd=9 name=web tid=1 irqmatch=0 pipeline=0 age=51"
        " idle=0 tot-cmds=12 phase=process db=0 lib-name=redis-py lib-ver=5.2.1\r\n",
        "SLOWLOG LEN": 0,
        "SLOWLOG GET": [],
        "LATENCY LATEST": [],
    },
    unknown="ERR unknown command `{name}`",
    refused={"LATENCY": "Unknown subcommand or wrong number of arguments for '{sub}'. Try LATENCY HELP."},
)

#: A fork of Redis 6 with threads and several masters.
KEYDB = ServiceProfile(
    info="""
# Server
redis_version:6.3.4
redis_git_sha1:7e7e5e57
redis_mode:standalone
os:Linux 6.1.0 x86_64
process_id:1
run_id:2ad066d000b5404878de3b70f638b85aff6de528
tcp_port:6379
server_time_usec:1795380000000000
uptime_in_seconds:1234
hz:10
configured_hz:10
executable:/usr/local/bin/keydb-server
availability_zone:
features:cluster_mget

# Clients
connected_clients:30
cluster_connections:0
maxclients:10000
client_recent_max_input_buffer:2
client_recent_max_output_buffer:0
blocked_clients:0
tracking_clients:0
current_client_thread:1
thread_0_clients:16
thread_1_clients:14

# Memory
used_memory:10663608
used_memory_rss:12242944
used_memory_peak_perc:98.21%
maxmemory:0
maxmemory_policy:noeviction
storage_provider:none

# Stats
total_connections_received:31
total_commands_processed:2204
keyspace_hits:2
keyspace_misses:1
cached_keys:12
storage_provider_read_hits:0
storage_provider_read_misses:0
long_lock_waits:7

# Replication
role:active-replica
master_global_link_status:down
connected_masters:2
master_host:10.0.0.2
master_port:6379
master_link_status:up
master_last_io_seconds_ago:0
master_sync_in_progress:0
slave_repl_offset:1101
master_1_host:10.0.0.3
master_1_port:6379
master_1_link_status:down
master_1_last_io_seconds_ago:-1
master_1_sync_in_progress:0
slave_1_repl_offset:1
master_1_link_down_since_seconds:17
slave_priority:100
slave_read_only:0
connected_slaves:0
master_repl_offset:1200

# CPU
used_cpu_sys:18.211
used_cpu_user:20.313
server_threads:2
long_lock_waits:7
used_cpu_sys_main_thread:18.011
used_cpu_user_main_thread:20.113

# Errorstats

# Cluster
cluster_enabled:0

# Keyspace
db0:keys=12,expires=3,avg_ttl=4711,cached_keys=12

# KeyDB
mvcc_depth:0
""",
    replies={
        "CONFIG GET": ["maxmemory", "0", "maxclients", "10000"],
        "CLIENT LIST": "id=7 addr=10.0.0.9:53312 laddr=10.0.0.2:6379 fd=12 name= age=3 idle=0 flags=N db=0 sub=0 psub=0"
        " multi=-1 qbuf=26 qbuf-free=40928 argv-mem=10 obl=0 oll=0 omem=0 tot-mem=61466 events=r cmd=client"
        " user=default redir=-1\n",
        "SLOWLOG LEN": 1,
        "SLOWLOG GET": [[4, 1795379990, 12071, ["KEYS", "*"], "10.0.0.9:53312", ""]],
        "LATENCY LATEST": [["command", 1795379991, 12, 400]],
    },
    unknown="ERR unknown command `{name}`, with args beginning with: `{sub}`, ",
    refused={"LATENCY": "ERR Unknown subcommand or wrong number of arguments for '{sub}'. Try LATENCY HELP."},
)

PROFILES = {"upstash": UPSTASH, "elasticache": ELASTICACHE, "dragonfly": DRAGONFLY, "keydb": KEYDB}
