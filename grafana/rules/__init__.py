"""Recording rules and alerts for Prometheus, the source of ``deploy/prometheus/`` and of tables in the docs.

===============  ==================================================================================
module           content
===============  ==================================================================================
``settings``     options: objectives, latency edge, thresholds, and a scale for all windows
``rule``         alert, recorded series, group
``slo``          scheduled pings, failures, error ratios, burn rates, budgets; alerts on burn rates
``records``      quantiles, mean command time, hit ratio, saturation
``stalls``       alert: clients keep waiting; the main cause of it in the text of alerts
``availability`` alerts: servers that are down, deny access, or keep failing and recovering
``exporters``    alerts: the exporter itself, its samples, whether the measurement can be trusted
``capacity``     alerts: memory, connections, CPU, error replies
``keyspace``     alerts: what fills a server
``replication``  alerts: masters, links, lag, full resynchronisations
``durability``   alerts: snapshots, append-only file, restarts, certificates
``topology``     alerts: Cluster and Sentinel
``page``         groups → YAML, jsonnet, the table of docs/alerts.md
``files``        the list of files
===============  ==================================================================================

``python -m grafana.rules --objective 0.9995 --edge 0.005 --into DIR`` writes them with other settings.
"""
