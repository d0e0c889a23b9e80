"""Recording rules and alerts for Prometheus: one source, rendered to ``deploy/prometheus/`` and the tables of the docs.

===============  ==================================================================================
room             what
===============  ==================================================================================
``settings``     what may be set: objective, edge, thresholds, and the scale of all windows
``rule``         an alert, a recorded series, a group
``slo``          slots, failures, error ratios, burn rates, budget; the alerts that burn rates raise
``records``      quantiles, mean command time, hit ratio, saturation
``reachable``    alerts: servers that are down, that deny, that come and go
``exporters``    alerts: the exporter itself, its samples, how far the measurement is to be trusted
``capacity``     alerts: memory, connections, CPU, error replies
``replication``  alerts: masters, links, lag, full resynchronisations
``durability``   alerts: snapshots, append-only file, restarts, certificates
``topology``     alerts: Cluster and Sentinel
``page``         groups → YAML, jsonnet, the table of docs/alerts.md
``files``        which files there are
===============  ==================================================================================

``python -m grafana.rules --objective 0.9995 --edge 0.005 --into DIR`` writes them with other settings than ours.
"""
