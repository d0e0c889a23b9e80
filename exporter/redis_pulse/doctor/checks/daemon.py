"""Find out whether a daemon with this configuration runs here."""

from redis_pulse.config import Settings, parse_listen
from redis_pulse.doctor.findings import Findings
from redis_pulse.doctor.http import HttpClient, HttpProblem

#: What redis-pulse answers at ``/-/healthy``. Other programs have this page too.
_HEALTHY = b"ok\n"


async def examine_daemon(settings: Settings, file: str) -> Findings:
    """Return whether redis-pulse answers at the address of ``listen``."""
    listen = parse_listen(settings.listen)
    host = listen.host if listen.host not in ("", "0.0.0.0", "::") else "127.0.0.1"  # noqa: S104  # compared only
    shown = f"[{host}]" if ":" in host else host
    scheme = "http" if settings.web.config_file is None else "https"
    url = f"{scheme}://{shown}:{listen.port}"
    findings = Findings("daemon", url, {"url": url, "port": listen.port, "file": file or "FILE"})
    findings.check = "daemon"
    try:
        body = await HttpClient(url).get("/-/healthy")
    except HttpProblem as error:
        _report_problem(findings, str(error))
    else:
        findings.add("daemon.running" if body == _HEALTHY else "daemon.other")
    findings.done.append("daemon")
    return findings


def _report_problem(findings: Findings, text: str) -> None:
    if text.startswith(("the response was 401", "the response was 403")):
        findings.add("daemon.running")  # it wants a login, as the web configuration of redis-pulse may demand
    elif text.startswith("the response was 404"):
        findings.add("daemon.other")
    else:
        findings.add("daemon.absent", problem=text)
