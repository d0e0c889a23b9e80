"""Turn the words of a command into a name that may be a label: ``keys``, ``config|get``, ``ft.search``, ``other``.

Only names that are known pass, because any other word may be a secret. ``rename-command CONFIG 8f3a…`` makes a password
of a name, and servers write the new name to their slow log. Names of modules pass by their form: ``family.name``.
"""

import re
from collections.abc import Sequence
from typing import Any

#: Stands for every name that is not known.
OTHER = "other"
#: Commands of Redis up to 8.4 and of Valkey up to 9.1, without subcommands.
_PLAIN = """
append asking auth bgrewriteaof bgsave bitcount bitfield bitfield_ro bitop bitpos blmove blmpop blpop brpop brpoplpush
bzmpop bzpopmax bzpopmin clusterscan copy dbsize debug decr decrby del delex delifeq digest discard dump echo eval
eval_ro evalsha evalsha_ro exec exists expire expireat expiretime failover fcall fcall_ro flushall flushdb geoadd
geodist geohash geopos georadius georadius_ro georadiusbymember georadiusbymember_ro geosearch geosearchstore get
getbit getdel getex getrange getset hdel hello hexists hexpire hexpireat hexpiretime hget hgetall hgetdel hgetex
hincrby hincrbyfloat hkeys hlen hmget hmset hpersist hpexpire hpexpireat hpexpiretime hpttl hrandfield hscan hset
hsetex hsetnx hstrlen httl hvals incr incrby incrbyfloat info keys lastsave lcs lindex linsert llen lmove lmpop lolwut
lpop lpos lpush lpushx lrange lrem lset ltrim mget migrate monitor move mset msetex msetnx multi persist pexpire
pexpireat pexpiretime pfadd pfcount pfdebug pfmerge pfselftest ping psetex psubscribe psync pttl publish punsubscribe
quit randomkey readonly readwrite rename renamenx replconf replicaof reset restore restore-asking role rpop rpoplpush
rpush rpushx sadd save scan scard sdiff sdiffstore select set setbit setex setnx setrange shutdown sinter sintercard
sinterstore sismember slaveof smembers smismember smove sort sort_ro spop spublish srandmember srem sscan ssubscribe
strlen subscribe substr sunion sunionstore sunsubscribe swapdb sync time touch trimslots ttl type unlink unsubscribe
unwatch vadd vcard vdim vemb vgetattr vinfo vismember vlinks vrandmember vrange vrem vsetattr vsim wait waitaof watch
xack xackdel xadd xautoclaim xclaim xdel xdelex xlen xpending xrange xread xreadgroup xrevrange xsetid xtrim zadd
zcard zcount zdiff zdiffstore zincrby zinter zintercard zinterstore zlexcount zmpop zmscore zpopmax zpopmin
zrandmember zrange zrangebylex zrangebyscore zrangestore zrank zrem zremrangebylex zremrangebyrank zremrangebyscore
zrevrange zrevrangebylex zrevrangebyscore zrevrank zscan zscore zunion zunionstore
"""
_KNOWN = frozenset(_PLAIN.split())
#: Commands with subcommands.
_CONTAINERS = {
    container: frozenset(subcommands.split())
    for container, subcommands in {
        "acl": "cat deluser dryrun genpass getuser list load log save setuser users whoami",
        "client": "caching capa getname getredir id import-source info kill list no-evict no-touch pause reply setinfo "
        "setname tracking trackinginfo unblock unpause",
        "cluster": "addslots addslotsrange bumpepoch cancelslotmigrations count-failure-reports countkeysinslot "
        "delslots delslotsrange failover flushslot flushslots forget getkeysinslot getslotmigrations info keyslot "
        "links meet migrateslots migration myid myshardid nodes replicas replicate reset saveconfig set-config-epoch "
        "setslot shards slaves slot-stats slots syncslots",
        "command": "count docs getkeys getkeysandflags info list",
        "commandlog": "get len reset",
        "config": "get resetstat rewrite set",
        "function": "delete dump flush kill list load restore stats",
        "hotkeys": "get reset start stop",
        "latency": "doctor graph histogram history latest reset",
        "memory": "doctor malloc-stats purge stats usage",
        "module": "list load loadex unload",
        "object": "encoding freq idletime refcount",
        "pubsub": "channels numpat numsub shardchannels shardnumsub",
        "script": "debug exists flush kill load show",
        "slowlog": "get len reset",
        "xgroup": "create createconsumer delconsumer destroy setid",
        "xinfo": "consumers groups stream",
    }.items()
}
#: The form of a command of a module. No family has a long name.
_MODULE_COMMAND = re.compile(r"[a-z]{1,12}\.[a-z_]{1,24}")
#: The longest name that is worth reading.
_MAX_BYTES = 40


def command_name(words: Sequence[Any]) -> str:
    """Return the name of a command in lower case, with its subcommand if that is known, or ``other``.

    >>> command_name([b"KEYS", b"user:*"]), command_name([b"CONFIG", b"GET", b"requirepass"])
    ('keys', 'config|get')
    >>> command_name([b"object", b"secret"]), command_name([b"b840fc02d524045429941cc15f59e41cb7be6c52"])
    ('object', 'other')
    """
    name = _word(words, 0)
    if name in _CONTAINERS:
        subcommand = _word(words, 1)
        return f"{name}|{subcommand}" if subcommand in _CONTAINERS[name] else name
    return name if name in _KNOWN or _MODULE_COMMAND.fullmatch(name) else OTHER


def _word(words: Sequence[Any], position: int) -> str:
    """Return a word in lower case, or an empty text if no word there can be a name."""
    word = words[position] if position < len(words) else b""
    text = word.decode("ascii", errors="replace") if isinstance(word, bytes) and len(word) <= _MAX_BYTES else word
    return text.lower() if isinstance(text, str) and len(text) <= _MAX_BYTES else ""
