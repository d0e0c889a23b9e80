// Alerts, recording rules and dashboards of redis-pulse as a jsonnet mixin. `make docs` writes alerts.json, rules.json
// and dashboards/ from the same source as deploy/prometheus/ and grafana/dashboards/. A test compares them.
local boards = {
  'redis-pulse-instance.json': import 'dashboards/redis-pulse-instance.json',
  'redis-pulse-keyspace.json': import 'dashboards/redis-pulse-keyspace.json',
  'redis-pulse-latency.json': import 'dashboards/redis-pulse-latency.json',
  'redis-pulse-overview.json': import 'dashboards/redis-pulse-overview.json',
  'redis-pulse-resilience.json': import 'dashboards/redis-pulse-resilience.json',
  'redis-pulse-slo.json': import 'dashboards/redis-pulse-slo.json',
};

local without(object, names) = { [name]: object[name] for name in std.objectFields(object) if !std.member(names, name) };

// Apply `change` to every string in `value`.
local mapStrings(value, change) =
  if std.isString(value) then change(value)
  else if std.isArray(value) then [mapStrings(item, change) for item in value]
  else if std.isObject(value) then { [name]: mapStrings(value[name], change) for name in std.objectFields(value) }
  else value;

(import 'config.libsonnet') + {
  local config = self._config,

  local configured(rules) = mapStrings(rules, function(text)
    std.strReplace(
      std.strReplace(
        std.strReplace(text, 'REDIS_PULSE_JOB', config.job),
        'REDIS_PULSE_RUNBOOKS',
        config.runbooks
      ),
      'REDIS_PULSE_GROUP_LABEL',
      config.groupLabel
    )),

  // The files in dashboards/ ask for a data source when they are imported. Here the setting decides.
  local bound(board) = without(board, ['__elements', '__inputs', '__requires', 'id']) + {
    templating: {
      list: [
        if variable.name != 'datasource' then variable
        else without(variable, ['current']) + (
          if config.datasource == null then {} else { current: { text: config.datasource, value: config.datasource } }
        )
        for variable in board.templating.list
      ],
    },
  },

  prometheusAlerts+:: configured(import 'alerts.json'),
  prometheusRules+:: configured(import 'rules.json'),
  grafanaDashboards+:: { [name]: bound(boards[name]) for name in std.objectFields(boards) },
}
