"""Which commands may be sent a second time: only reads, which leave a server as it was."""

#: A command by its words; one that is no text, such as the name of a key may be, comes as bytes.
Args = tuple[str | int | bytes, ...]

#: By their first word, or their first two.
READS = frozenset(
    {"INFO", "PING", "TYPE", "GET", "STRLEN", "LLEN", "SCARD", "ZCARD", "HLEN", "XLEN", "PFCOUNT", "SCAN", "DBSIZE"}
    | {"GETRANGE", "ARCOUNT", "EVAL_RO", "EVALSHA_RO"}
    | {"SLOWLOG GET", "SLOWLOG LEN", "COMMANDLOG GET", "COMMANDLOG LEN", "LATENCY LATEST", "LATENCY HISTOGRAM"}
    | {
        "CONFIG GET",
        "CLUSTER INFO",
        "CLUSTER NODES",
        "CLUSTER SHARDS",
        "CLIENT LIST",
        "MEMORY USAGE",
        "XINFO STREAM",
        "XINFO GROUPS",
        "XINFO CONSUMERS",
    }
    | {"SENTINEL MASTERS", "SENTINEL SENTINELS", "SENTINEL SLAVES", "SENTINEL CKQUORUM", "SENTINEL CONFIG"}
    | {"SENTINEL MYID", "SENTINEL GET-MASTER-ADDR-BY-NAME"}
    | {"FT._LIST", "FT.INFO", "MODULE LIST"}
)


def is_read(args: Args) -> bool:
    """Whether a command only reads."""
    words = [str(arg).upper() for arg in args[:2]]
    return words[0] in READS or " ".join(words) in READS
