// The settings of the mixin. To change one: (import 'mixin.libsonnet') + { _config+:: { job: 'my-redis' } }.
// Thresholds, objectives and windows are settings of the program that writes alerts.json and rules.json: see docs/alerts.md.
{
  _config+:: {
    // The scrape job of redis-pulse, a regular expression.
    job: '.*redis-pulse.*',
    // The address of the runbooks.
    runbooks: 'https://github.com/redis-pulse/redis-pulse/blob/main/docs/runbooks',
    // The label of a target that names its replication group.
    groupLabel: 'replication_group',
    // The uid of the data source that the dashboards begin with. Grafana chooses one for null.
    datasource: null,
    // Where the objects of kubernetes.libsonnet live, and the label by which the sidecar of Grafana finds dashboards.
    namespace: 'redis-pulse',
    dashboardLabel: { grafana_dashboard: '1' },
  },
}
