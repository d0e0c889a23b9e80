"""Find out whether it is a Sentinel or a node of a cluster, and whether the whole is healthy."""

from redis_pulse.doctor.examination import Examination
from redis_pulse.errors import TargetError
from redis_pulse.parse.cluster_nodes import SLOTS, ClusterNode, parse_nodes
from redis_pulse.parse.reply import as_text
from redis_pulse.parse.sentinel import as_instances

#: Nodes and masters that are named one by one.
_MAX_NAMED = 10


async def check(examination: Examination) -> bool:
    """Report a Sentinel that is a target, a quorum that is lost, and what is wrong in a cluster."""
    if not examination.is_polled:
        return False
    if examination.server.mode == "sentinel":
        await _sentinel(examination)
    elif examination.fields.get("cluster_enabled") == "1":
        await _cluster(examination)
    return True


async def _sentinel(examination: Examination) -> None:
    findings = examination.findings
    options = examination.target.collectors
    if options is None or "sentinel" not in options:  # else the configuration names it as a Sentinel
        findings.add("protocol.sentinel")
    masters = as_instances(await examination.query("SENTINEL", "MASTERS"))
    for fields in list(masters.named.values() if masters else ())[:_MAX_NAMED]:
        name = fields.get("name", "")
        if "o_down" in fields.get("flags", "") or "s_down" in fields.get("flags", ""):
            findings.add("sentinel.down", master=name)
        error = await _ckquorum(examination, name)
        if error:
            findings.add("sentinel.quorum", master=name, problem=error)


async def _ckquorum(examination: Examination, name: str) -> str:
    """Return why the Sentinels cannot agree, or an empty text."""
    commands = examination.client.commands("doctor", examination.clock() + 2)
    try:
        await commands.execute("SENTINEL", "CKQUORUM", name)
    except TargetError as error:
        text = str(error)
        return text if "NOQUORUM" in text.upper() or "NOGOODSLAVE" in text.upper() else ""
    return ""


async def _cluster(examination: Examination) -> None:
    findings = examination.findings
    text = as_text(await examination.query("CLUSTER", "INFO"))
    state = _pairs(text or "")
    assigned = state.get("cluster_slots_assigned", "?")
    failing = state.get("cluster_slots_fail", "0")
    is_whole = assigned in ("?", str(SLOTS)) and failing == "0"
    if state.get("cluster_state", "ok") != "ok" or not is_whole:
        findings.add("clusterdown", state=state.get("cluster_state", "?"), assigned=assigned, failing=failing)
    nodes = list(parse_nodes(as_text(await examination.query("CLUSTER", "NODES")) or "").by_id.values())
    for node in [node for node in nodes if node.state in ("fail", "pfail", "noaddr")][:_MAX_NAMED]:
        findings.add("cluster.nodes", node=_address(node))
    followed = {node.master for node in nodes if node.role == "replica"}
    alone = [node for node in nodes if node.role == "master" and node.slots and node.id not in followed]
    for node in alone[:_MAX_NAMED]:
        findings.add("cluster.replicas", node=_address(node))


def _address(node: ClusterNode) -> str:
    return f"{node.ip or node.hostname or '?'}:{node.port}"


def _pairs(text: str) -> dict[str, str]:
    return dict(line.strip().split(":", 1) for line in text.splitlines() if ":" in line)
