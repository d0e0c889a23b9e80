// The alerts and recording rules of redis-pulse as a jsonnet mixin. `python -m grafana.rules` writes alerts.libsonnet and
// rules.libsonnet as JSON, which is valid jsonnet. The dashboards are grafana/dashboards/*.json.
{
  prometheusAlerts+:: import 'alerts.libsonnet',
  prometheusRules+:: import 'rules.libsonnet',
}
