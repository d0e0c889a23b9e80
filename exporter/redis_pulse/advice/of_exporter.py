"""Advice about the exporter itself: its cost, its host, discovery, and the way to Prometheus and Alertmanager."""

from redis_pulse.advice.model import Advice

EXPORTER: tuple[Advice, ...] = (
    Advice(
        "RP001", "doctor.fault", "error", "A check of doctor failed",
        "The check {check} ended with an unexpected {error}. This is a fault of redis-pulse.",
        "Please report it, with the support bundle.", "redis-pulse doctor {address} --bundle bundle.tar.gz",
    ),
    Advice(
        "RP002", "doctor.time", "warning", "The time was over before all checks",
        "10 s were over in the check {check}. Later checks are missing.",
        "Correct the findings above first. Then run doctor again.", "redis-pulse doctor {address}",
    ),
    Advice(
        "RP601", "cost.facts", "note", "What a poll costs the server",
        "One poll took {ms} ms, {bytes} bytes and {commands} commands. The collector {slowest} took most.",
        "Nothing is to be done.", "", (), "scaling.md",
    ),
    Advice(
        "RP602", "cost.high", "warning", "A poll is expensive",
        "One poll took {ms} ms of every {interval} s. The collector {slowest} took most.",
        "Raise poll.interval, or switch this collector off.", "", (), "scaling.md",
    ),
    Advice(
        "RP603", "collector.failing", "warning", "A collector fails",
        "The collectors {collectors} fail: {problem}. Their samples are missing.",
        "See the reason. Raise poll.timeout for a large server, or switch the collector off.",
        "", ("RedisCollectorFailing", "RedisSamplesStale"), "troubleshooting.md",
    ),
    Advice(
        "RP604", "collector.unsupported", "note", "Some collectors have nothing to read",
        "The server lacks what these collectors read: {collectors}.",
        "Nothing is to be done.", "", (), "servers.md",
    ),
    Advice(
        "RP605", "rejected", "error", "The circuit breaker is open",
        "The target failed often, so nothing is sent. The reason that opened the breaker is the cause.",
        "Correct that reason. Remove breaker.force if it is set.",
        "", ("RedisCircuitBreakerOpen", "RedisCircuitBreakerFlapping"),
    ),
    Advice(
        "RP701", "skipped", "warning", "The exporter sends pings late",
        "The exporter sent {n} pings late or not at all. The target is not the cause.",
        "Remove the CPU limit of the exporter.", "", ("RedisProbeScheduleLate",), "deploying.md",
    ),
    Advice(
        "RP702", "host.descriptors", "warning", "Few open files are allowed",
        "{limit} files may be open, and {needed} are needed for {targets} targets.",
        "Raise the limit of open files: LimitNOFILE of the unit, or ulimit.",
        "ulimit -n {needed}", (), "deploying.md",
    ),
    Advice(
        "RP703", "host.cpu", "note", "This host is busy",
        "This host was late by up to {noise} ms while doctor measured. Latencies above may be too high.",
        "Give the exporter a whole CPU, and no CPU limit.", "", ("RedisProbeScheduleLate",), "deploying.md",
    ),
    Advice(
        "RP704", "host.cpu_limit", "note", "This host limits our CPU",
        "The cgroup allows {cpus} CPUs, and has throttled us {count} times.",
        "Remove the CPU limit: it makes pings late.", "", ("RedisProbeScheduleLate",), "deploying.md",
    ),
    Advice(
        "RP705", "reload.refused", "error", "A reload was refused",
        "The new configuration is refused, and the one of {time} stays in force: {problem}.",
        "Correct the file, check it, then reload.",
        "redis-pulse check-config {file}", ("RedisExporterReloadFailed", "RedisExporterWebConfigInvalid"),
        "troubleshooting.md",
    ),
    Advice(
        "RP706", "daemon.absent", "note", "No daemon with this configuration runs here",
        "Nothing answers as redis-pulse at {url}: {problem}.",
        "Start the daemon.", "redis-pulse --config {file}", ("RedisExporterDown", "RedisExporterAbsent"),
    ),
    Advice(
        "RP707", "daemon.running", "note", "A daemon with this configuration runs",
        "redis-pulse answers at {url}.", "Nothing is to be done.",
    ),
    Advice(
        "RP708", "daemon.other", "warning", "Another program has the port",
        "Something answers at {url}, and it is not redis-pulse.",
        "Find the program, or choose another port for listen.", "ss -ltnp 'sport = :{port}'",
    ),
    Advice(
        "RP801", "source.failing", "error", "A discovery source does not answer",
        "The source {source} fails: {problem}. A running daemon keeps its targets.",
        "Look at the source.", "", ("RedisDiscoveryFailing",), "discovery.md",
    ),
    Advice(
        "RP802", "source.empty", "warning", "A discovery source has no targets",
        "The source {source} answers, and names no target.",
        "Look at the source and at its filters.", "", ("RedisDiscoveryFailing",), "discovery.md",
    ),
    Advice(
        "RP803", "source.found", "note", "A discovery source works",
        "The source {source} works. Its number of targets: {count}.", "Nothing is to be done.", "", (), "discovery.md",
    ),
    Advice(
        "RP804", "source.refused", "warning", "A discovery source names unusable targets",
        "The source {source} names targets that cannot be used: {problem}.",
        "Correct the entries.", "", ("RedisDiscoveryTruncated",), "discovery.md",
    ),
    Advice(
        "RP901", "prometheus.unreachable", "error", "Prometheus cannot be reached",
        "{url} does not answer as Prometheus: {problem}.",
        "Check the address.", "curl -s {url}/-/ready",
    ),
    Advice(
        "RP902", "prometheus.not_scraped", "error", "Prometheus does not scrape the exporter",
        "Prometheus has no sample of redis_up or redis_exporter_build_info.",
        "Add a scrape job for the exporter.",
        "curl -s {url}/api/v1/targets", ("RedisExporterAbsent", "RedisExporterDown"), "deploying.md",
    ),
    Advice(
        "RP903", "prometheus.scrape_fails", "error", "A scrape of the exporter fails",
        "Prometheus cannot scrape {instance}: {problem}.",
        "Let Prometheus reach the exporter. Check the address, the firewall and the login.",
        "curl -s {url}/api/v1/targets", ("RedisExporterDown",), "troubleshooting.md",
    ),
    Advice(
        "RP904", "prometheus.labels", "warning", "Labels do not fit the dashboards",
        "The series lack the label {label}, which dashboards and rules use.",
        "Remove the relabeling that drops the label, and set honor_labels if two labels collide.",
        "curl -sG {url}/api/v1/query --data-urlencode query=redis_up", (), "dashboards.md",
    ),
    Advice(
        "RP905", "prometheus.target_missing", "error", "A target is not in Prometheus",
        "Prometheus has no redis_up of the target {target}.",
        "Let the daemon watch this target, and reload it.",
        "curl -sG {url}/api/v1/query --data-urlencode query=redis_up",
    ),
    Advice(
        "RP906", "prometheus.rules_missing", "error", "Rules are not loaded",
        "Prometheus has not loaded these groups of rules: {groups}. Alerts do not fire without them.",
        "Add the files of deploy/prometheus/ to rule_files, then reload Prometheus.",
        "curl -s {url}/api/v1/rules", (), "alerts.md",
    ),
    Advice(
        "RP907", "prometheus.rules_failing", "error", "Rules are not evaluated",
        "The rule {rule} fails: {problem}.",
        "Correct the rule, or load the files of this version.",
        "curl -s {url}/api/v1/rules", (), "alerts.md",
    ),
    Advice(
        "RP908", "prometheus.stale", "warning", "A series is stale",
        "The newest sample of {series} is {seconds} s old.",
        "Is the exporter running, and does Prometheus still scrape it?",
        "curl -s {url}/api/v1/targets", ("RedisSamplesStale",),
    ),
    Advice(
        "RP909", "prometheus.facts", "note", "Prometheus has our data",
        "Prometheus scrapes {instances} exporters with {targets} targets, and evaluates {rules} of our rules.",
        "Nothing is to be done.",
    ),
    Advice(
        "RP911", "alertmanager.unreachable", "error", "Alertmanager cannot be reached",
        "{url} does not answer as Alertmanager: {problem}.",
        "Check the address.", "curl -s {url}/-/ready", (), "alerts.md",
    ),
    Advice(
        "RP912", "alertmanager.routes", "note", "Where our alerts are sent",
        "Alerts of severity {severity_label} go to the receiver {receiver}.",
        "Nothing, if this is the right one.",
        "amtool --alertmanager.url={url} config routes test severity={severity_label}", (), "alerts.md",
    ),
    Advice(
        "RP913", "alertmanager.no_receiver", "warning", "Alerts reach no one",
        "Alerts of severity {severity_label} go to the receiver {receiver}, which sends nothing.",
        "Add an integration to the receiver, or a route for our alerts.",
        "amtool --alertmanager.url={url} config routes test severity={severity_label}", (), "alerts.md",
    ),
    Advice(
        "RP914", "alertmanager.test_sent", "note", "A test alert was sent",
        "The alert RedisPulseTest, severity none, ends after 1 minute.",
        "Look whether it arrives at {receiver}.",
        "amtool --alertmanager.url={url} alert query RedisPulseTest", (), "alerts.md",
    ),
    Advice(
        "RP915", "alertmanager.test_refused", "error", "The test alert was refused",
        "Alertmanager did not take the alert RedisPulseTest: {problem}.",
        "Read the log of Alertmanager.", "curl -s {url}/api/v2/status", (), "alerts.md",
    ),
    Advice(
        "RP916", "alertmanager.not_connected", "warning", "Prometheus sends alerts elsewhere",
        "Prometheus does not send its alerts to {alertmanager}.",
        "Add this Alertmanager to alerting.alertmanagers of Prometheus.",
        "curl -s {url}/api/v1/alertmanagers", (), "alerts.md",
    ),
)  # fmt: skip
