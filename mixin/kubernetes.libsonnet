// The mixin as objects of Kubernetes: one PrometheusRule for the operator of Prometheus, and one ConfigMap for each
// dashboard. `jsonnet kubernetes.libsonnet | kubectl apply --server-side -f -` creates them.
// To change a setting: (import 'kubernetes.libsonnet') + { mixin+:: { _config+:: { namespace: 'monitoring' } } }.
{
  mixin:: import 'mixin.libsonnet',

  local config = self.mixin._config,
  local labels = { 'app.kubernetes.io/name': 'redis-pulse' },
  // Rules and alerts have groups of the same name. Two files may have the same names, one object may not.
  local named(rules, suffix) = [group { name: '%s-%s' % [group.name, suffix] } for group in rules.groups],

  local prometheusRule = {
    apiVersion: 'monitoring.coreos.com/v1',
    kind: 'PrometheusRule',
    metadata: { name: 'redis-pulse', namespace: config.namespace, labels: labels },
    spec: { groups: named($.mixin.prometheusRules, 'recording') + named($.mixin.prometheusAlerts, 'alerts') },
  },

  local dashboard(file) = {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: {
      name: std.strReplace(file, '.json', ''),
      namespace: config.namespace,
      labels: labels + config.dashboardLabel,
    },
    data: { [file]: std.toString($.mixin.grafanaDashboards[file]) },
  },

  apiVersion: 'v1',
  kind: 'List',
  items: [prometheusRule] + [dashboard(file) for file in std.objectFields($.mixin.grafanaDashboards)],
}
