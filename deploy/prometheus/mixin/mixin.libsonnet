// The alerts and recording rules of redis-pulse as a jsonnet mixin. alerts.libsonnet and rules.libsonnet are written by
// `python -m grafana.rules`, as JSON, of which jsonnet is a superset; dashboards are grafana/dashboards/*.json.
{
  prometheusAlerts+:: import 'alerts.libsonnet',
  prometheusRules+:: import 'rules.libsonnet',
}
