{
  "groups": [
    {
      "name": "redis-pulse-slo",
      "rules": [
        {
          "record": "target:redis_availability_slo:allowed_ratio",
          "expr": "1 - max by (job, instance, target) (last_over_time(redis_slo_objective_ratio[6h]))\nor\ngroup by (job, instance, target) (last_over_time(redis_operations_total{operation=\"ping\"}[6h])) * 0.001"
        },
        {
          "record": "target:redis_latency_slo:allowed_ratio",
          "expr": "group by (job, instance, target) (last_over_time(redis_operations_total{operation=\"ping\"}[6h])) * 0.001"
        },
        {
          "record": "target:redis_ping_slots:rate5m",
          "expr": "sum by (job, instance, target) (rate(redis_operations_total{operation=\"ping\"}[5m]))"
        },
        {
          "record": "target:redis_ping_failures:rate5m",
          "expr": "sum by (job, instance, target) (rate(redis_operation_failures_total{operation=\"ping\"}[5m]))"
        },
        {
          "record": "target:redis_ping_slow:rate5m",
          "expr": "clamp_min(target:redis_ping_slots:rate5m - sum by (job, instance, target) (rate(redis_operation_duration_seconds_bucket{operation=\"ping\", le=\"0.01\"}[5m])), 0)"
        },
        {
          "record": "target:redis_ping_failures_per_slots:ratio_rate5m",
          "expr": "target:redis_ping_failures:rate5m / (target:redis_ping_slots:rate5m > 0)"
        },
        {
          "record": "target:redis_availability_slo:burn_rate5m",
          "expr": "target:redis_ping_failures_per_slots:ratio_rate5m / target:redis_availability_slo:allowed_ratio"
        },
        {
          "record": "job:redis_ping_failures_per_slots:ratio_rate5m",
          "expr": "sum by (job) (target:redis_ping_failures:rate5m) / (sum by (job) (target:redis_ping_slots:rate5m) > 0)"
        },
        {
          "record": "job:redis_availability_slo:burn_rate5m",
          "expr": "sum by (job) (target:redis_ping_failures:rate5m and target:redis_availability_slo:allowed_ratio) / (sum by (job) (target:redis_ping_slots:rate5m * target:redis_availability_slo:allowed_ratio) > 0)"
        },
        {
          "record": "target:redis_ping_slow_per_slots:ratio_rate5m",
          "expr": "target:redis_ping_slow:rate5m / (target:redis_ping_slots:rate5m > 0)"
        },
        {
          "record": "target:redis_latency_slo:burn_rate5m",
          "expr": "target:redis_ping_slow_per_slots:ratio_rate5m / target:redis_latency_slo:allowed_ratio"
        },
        {
          "record": "job:redis_ping_slow_per_slots:ratio_rate5m",
          "expr": "sum by (job) (target:redis_ping_slow:rate5m) / (sum by (job) (target:redis_ping_slots:rate5m) > 0)"
        },
        {
          "record": "job:redis_latency_slo:burn_rate5m",
          "expr": "sum by (job) (target:redis_ping_slow:rate5m and target:redis_latency_slo:allowed_ratio) / (sum by (job) (target:redis_ping_slots:rate5m * target:redis_latency_slo:allowed_ratio) > 0)"
        },
        {
          "record": "target:redis_ping_slots:rate30m",
          "expr": "sum by (job, instance, target) (rate(redis_operations_total{operation=\"ping\"}[30m]))"
        },
        {
          "record": "target:redis_ping_failures:rate30m",
          "expr": "sum by (job, instance, target) (rate(redis_operation_failures_total{operation=\"ping\"}[30m]))"
        },
        {
          "record": "target:redis_ping_slow:rate30m",
          "expr": "clamp_min(target:redis_ping_slots:rate30m - sum by (job, instance, target) (rate(redis_operation_duration_seconds_bucket{operation=\"ping\", le=\"0.01\"}[30m])), 0)"
        },
        {
          "record": "target:redis_ping_failures_per_slots:ratio_rate30m",
          "expr": "target:redis_ping_failures:rate30m / (target:redis_ping_slots:rate30m > 0)"
        },
        {
          "record": "target:redis_availability_slo:burn_rate30m",
          "expr": "target:redis_ping_failures_per_slots:ratio_rate30m / target:redis_availability_slo:allowed_ratio"
        },
        {
          "record": "job:redis_ping_failures_per_slots:ratio_rate30m",
          "expr": "sum by (job) (target:redis_ping_failures:rate30m) / (sum by (job) (target:redis_ping_slots:rate30m) > 0)"
        },
        {
          "record": "job:redis_availability_slo:burn_rate30m",
          "expr": "sum by (job) (target:redis_ping_failures:rate30m and target:redis_availability_slo:allowed_ratio) / (sum by (job) (target:redis_ping_slots:rate30m * target:redis_availability_slo:allowed_ratio) > 0)"
        },
        {
          "record": "target:redis_ping_slow_per_slots:ratio_rate30m",
          "expr": "target:redis_ping_slow:rate30m / (target:redis_ping_slots:rate30m > 0)"
        },
        {
          "record": "target:redis_latency_slo:burn_rate30m",
          "expr": "target:redis_ping_slow_per_slots:ratio_rate30m / target:redis_latency_slo:allowed_ratio"
        },
        {
          "record": "job:redis_ping_slow_per_slots:ratio_rate30m",
          "expr": "sum by (job) (target:redis_ping_slow:rate30m) / (sum by (job) (target:redis_ping_slots:rate30m) > 0)"
        },
        {
          "record": "job:redis_latency_slo:burn_rate30m",
          "expr": "sum by (job) (target:redis_ping_slow:rate30m and target:redis_latency_slo:allowed_ratio) / (sum by (job) (target:redis_ping_slots:rate30m * target:redis_latency_slo:allowed_ratio) > 0)"
        },
        {
          "record": "target:redis_ping_slots:rate1h",
          "expr": "sum by (job, instance, target) (rate(redis_operations_total{operation=\"ping\"}[1h]))"
        },
        {
          "record": "target:redis_ping_failures:rate1h",
          "expr": "sum by (job, instance, target) (rate(redis_operation_failures_total{operation=\"ping\"}[1h]))"
        },
        {
          "record": "target:redis_ping_slow:rate1h",
          "expr": "clamp_min(target:redis_ping_slots:rate1h - sum by (job, instance, target) (rate(redis_operation_duration_seconds_bucket{operation=\"ping\", le=\"0.01\"}[1h])), 0)"
        },
        {
          "record": "target:redis_ping_failures_per_slots:ratio_rate1h",
          "expr": "target:redis_ping_failures:rate1h / (target:redis_ping_slots:rate1h > 0)"
        },
        {
          "record": "target:redis_availability_slo:burn_rate1h",
          "expr": "target:redis_ping_failures_per_slots:ratio_rate1h / target:redis_availability_slo:allowed_ratio"
        },
        {
          "record": "job:redis_ping_failures_per_slots:ratio_rate1h",
          "expr": "sum by (job) (target:redis_ping_failures:rate1h) / (sum by (job) (target:redis_ping_slots:rate1h) > 0)"
        },
        {
          "record": "job:redis_availability_slo:burn_rate1h",
          "expr": "sum by (job) (target:redis_ping_failures:rate1h and target:redis_availability_slo:allowed_ratio) / (sum by (job) (target:redis_ping_slots:rate1h * target:redis_availability_slo:allowed_ratio) > 0)"
        },
        {
          "record": "target:redis_ping_slow_per_slots:ratio_rate1h",
          "expr": "target:redis_ping_slow:rate1h / (target:redis_ping_slots:rate1h > 0)"
        },
        {
          "record": "target:redis_latency_slo:burn_rate1h",
          "expr": "target:redis_ping_slow_per_slots:ratio_rate1h / target:redis_latency_slo:allowed_ratio"
        },
        {
          "record": "job:redis_ping_slow_per_slots:ratio_rate1h",
          "expr": "sum by (job) (target:redis_ping_slow:rate1h) / (sum by (job) (target:redis_ping_slots:rate1h) > 0)"
        },
        {
          "record": "job:redis_latency_slo:burn_rate1h",
          "expr": "sum by (job) (target:redis_ping_slow:rate1h and target:redis_latency_slo:allowed_ratio) / (sum by (job) (target:redis_ping_slots:rate1h * target:redis_latency_slo:allowed_ratio) > 0)"
        },
        {
          "record": "target:redis_ping_slots:rate2h",
          "expr": "sum by (job, instance, target) (rate(redis_operations_total{operation=\"ping\"}[2h]))"
        },
        {
          "record": "target:redis_ping_failures:rate2h",
          "expr": "sum by (job, instance, target) (rate(redis_operation_failures_total{operation=\"ping\"}[2h]))"
        },
        {
          "record": "target:redis_ping_slow:rate2h",
          "expr": "clamp_min(target:redis_ping_slots:rate2h - sum by (job, instance, target) (rate(redis_operation_duration_seconds_bucket{operation=\"ping\", le=\"0.01\"}[2h])), 0)"
        },
        {
          "record": "target:redis_ping_failures_per_slots:ratio_rate2h",
          "expr": "target:redis_ping_failures:rate2h / (target:redis_ping_slots:rate2h > 0)"
        },
        {
          "record": "target:redis_availability_slo:burn_rate2h",
          "expr": "target:redis_ping_failures_per_slots:ratio_rate2h / target:redis_availability_slo:allowed_ratio"
        },
        {
          "record": "job:redis_ping_failures_per_slots:ratio_rate2h",
          "expr": "sum by (job) (target:redis_ping_failures:rate2h) / (sum by (job) (target:redis_ping_slots:rate2h) > 0)"
        },
        {
          "record": "job:redis_availability_slo:burn_rate2h",
          "expr": "sum by (job) (target:redis_ping_failures:rate2h and target:redis_availability_slo:allowed_ratio) / (sum by (job) (target:redis_ping_slots:rate2h * target:redis_availability_slo:allowed_ratio) > 0)"
        },
        {
          "record": "target:redis_ping_slow_per_slots:ratio_rate2h",
          "expr": "target:redis_ping_slow:rate2h / (target:redis_ping_slots:rate2h > 0)"
        },
        {
          "record": "target:redis_latency_slo:burn_rate2h",
          "expr": "target:redis_ping_slow_per_slots:ratio_rate2h / target:redis_latency_slo:allowed_ratio"
        },
        {
          "record": "job:redis_ping_slow_per_slots:ratio_rate2h",
          "expr": "sum by (job) (target:redis_ping_slow:rate2h) / (sum by (job) (target:redis_ping_slots:rate2h) > 0)"
        },
        {
          "record": "job:redis_latency_slo:burn_rate2h",
          "expr": "sum by (job) (target:redis_ping_slow:rate2h and target:redis_latency_slo:allowed_ratio) / (sum by (job) (target:redis_ping_slots:rate2h * target:redis_latency_slo:allowed_ratio) > 0)"
        },
        {
          "record": "target:redis_ping_slots:rate6h",
          "expr": "sum by (job, instance, target) (rate(redis_operations_total{operation=\"ping\"}[6h]))"
        },
        {
          "record": "target:redis_ping_failures:rate6h",
          "expr": "sum by (job, instance, target) (rate(redis_operation_failures_total{operation=\"ping\"}[6h]))"
        },
        {
          "record": "target:redis_ping_slow:rate6h",
          "expr": "clamp_min(target:redis_ping_slots:rate6h - sum by (job, instance, target) (rate(redis_operation_duration_seconds_bucket{operation=\"ping\", le=\"0.01\"}[6h])), 0)"
        },
        {
          "record": "target:redis_ping_failures_per_slots:ratio_rate6h",
          "expr": "target:redis_ping_failures:rate6h / (target:redis_ping_slots:rate6h > 0)"
        },
        {
          "record": "target:redis_availability_slo:burn_rate6h",
          "expr": "target:redis_ping_failures_per_slots:ratio_rate6h / target:redis_availability_slo:allowed_ratio"
        },
        {
          "record": "job:redis_ping_failures_per_slots:ratio_rate6h",
          "expr": "sum by (job) (target:redis_ping_failures:rate6h) / (sum by (job) (target:redis_ping_slots:rate6h) > 0)"
        },
        {
          "record": "job:redis_availability_slo:burn_rate6h",
          "expr": "sum by (job) (target:redis_ping_failures:rate6h and target:redis_availability_slo:allowed_ratio) / (sum by (job) (target:redis_ping_slots:rate6h * target:redis_availability_slo:allowed_ratio) > 0)"
        },
        {
          "record": "target:redis_ping_slow_per_slots:ratio_rate6h",
          "expr": "target:redis_ping_slow:rate6h / (target:redis_ping_slots:rate6h > 0)"
        },
        {
          "record": "target:redis_latency_slo:burn_rate6h",
          "expr": "target:redis_ping_slow_per_slots:ratio_rate6h / target:redis_latency_slo:allowed_ratio"
        },
        {
          "record": "job:redis_ping_slow_per_slots:ratio_rate6h",
          "expr": "sum by (job) (target:redis_ping_slow:rate6h) / (sum by (job) (target:redis_ping_slots:rate6h) > 0)"
        },
        {
          "record": "job:redis_latency_slo:burn_rate6h",
          "expr": "sum by (job) (target:redis_ping_slow:rate6h and target:redis_latency_slo:allowed_ratio) / (sum by (job) (target:redis_ping_slots:rate6h * target:redis_latency_slo:allowed_ratio) > 0)"
        }
      ]
    },
    {
      "name": "redis-pulse-slo-long",
      "interval": "1m",
      "rules": [
        {
          "record": "target:redis_ping_slots:rate1d",
          "expr": "avg_over_time(target:redis_ping_slots:rate5m[1d:5m])"
        },
        {
          "record": "target:redis_ping_failures:rate1d",
          "expr": "avg_over_time(target:redis_ping_failures:rate5m[1d:5m])"
        },
        {
          "record": "target:redis_ping_slow:rate1d",
          "expr": "avg_over_time(target:redis_ping_slow:rate5m[1d:5m])"
        },
        {
          "record": "target:redis_ping_failures_per_slots:ratio_rate1d",
          "expr": "target:redis_ping_failures:rate1d / (target:redis_ping_slots:rate1d > 0)"
        },
        {
          "record": "target:redis_availability_slo:burn_rate1d",
          "expr": "target:redis_ping_failures_per_slots:ratio_rate1d / target:redis_availability_slo:allowed_ratio"
        },
        {
          "record": "job:redis_ping_failures_per_slots:ratio_rate1d",
          "expr": "sum by (job) (target:redis_ping_failures:rate1d) / (sum by (job) (target:redis_ping_slots:rate1d) > 0)"
        },
        {
          "record": "job:redis_availability_slo:burn_rate1d",
          "expr": "sum by (job) (target:redis_ping_failures:rate1d and target:redis_availability_slo:allowed_ratio) / (sum by (job) (target:redis_ping_slots:rate1d * target:redis_availability_slo:allowed_ratio) > 0)"
        },
        {
          "record": "target:redis_ping_slow_per_slots:ratio_rate1d",
          "expr": "target:redis_ping_slow:rate1d / (target:redis_ping_slots:rate1d > 0)"
        },
        {
          "record": "target:redis_latency_slo:burn_rate1d",
          "expr": "target:redis_ping_slow_per_slots:ratio_rate1d / target:redis_latency_slo:allowed_ratio"
        },
        {
          "record": "job:redis_ping_slow_per_slots:ratio_rate1d",
          "expr": "sum by (job) (target:redis_ping_slow:rate1d) / (sum by (job) (target:redis_ping_slots:rate1d) > 0)"
        },
        {
          "record": "job:redis_latency_slo:burn_rate1d",
          "expr": "sum by (job) (target:redis_ping_slow:rate1d and target:redis_latency_slo:allowed_ratio) / (sum by (job) (target:redis_ping_slots:rate1d * target:redis_latency_slo:allowed_ratio) > 0)"
        },
        {
          "record": "target:redis_ping_slots:rate3d",
          "expr": "avg_over_time(target:redis_ping_slots:rate30m[3d:30m])"
        },
        {
          "record": "target:redis_ping_failures:rate3d",
          "expr": "avg_over_time(target:redis_ping_failures:rate30m[3d:30m])"
        },
        {
          "record": "target:redis_ping_slow:rate3d",
          "expr": "avg_over_time(target:redis_ping_slow:rate30m[3d:30m])"
        },
        {
          "record": "target:redis_ping_failures_per_slots:ratio_rate3d",
          "expr": "target:redis_ping_failures:rate3d / (target:redis_ping_slots:rate3d > 0)"
        },
        {
          "record": "target:redis_availability_slo:burn_rate3d",
          "expr": "target:redis_ping_failures_per_slots:ratio_rate3d / target:redis_availability_slo:allowed_ratio"
        },
        {
          "record": "job:redis_ping_failures_per_slots:ratio_rate3d",
          "expr": "sum by (job) (target:redis_ping_failures:rate3d) / (sum by (job) (target:redis_ping_slots:rate3d) > 0)"
        },
        {
          "record": "job:redis_availability_slo:burn_rate3d",
          "expr": "sum by (job) (target:redis_ping_failures:rate3d and target:redis_availability_slo:allowed_ratio) / (sum by (job) (target:redis_ping_slots:rate3d * target:redis_availability_slo:allowed_ratio) > 0)"
        },
        {
          "record": "target:redis_ping_slow_per_slots:ratio_rate3d",
          "expr": "target:redis_ping_slow:rate3d / (target:redis_ping_slots:rate3d > 0)"
        },
        {
          "record": "target:redis_latency_slo:burn_rate3d",
          "expr": "target:redis_ping_slow_per_slots:ratio_rate3d / target:redis_latency_slo:allowed_ratio"
        },
        {
          "record": "job:redis_ping_slow_per_slots:ratio_rate3d",
          "expr": "sum by (job) (target:redis_ping_slow:rate3d) / (sum by (job) (target:redis_ping_slots:rate3d) > 0)"
        },
        {
          "record": "job:redis_latency_slo:burn_rate3d",
          "expr": "sum by (job) (target:redis_ping_slow:rate3d and target:redis_latency_slo:allowed_ratio) / (sum by (job) (target:redis_ping_slots:rate3d * target:redis_latency_slo:allowed_ratio) > 0)"
        },
        {
          "record": "target:redis_ping_slots:rate30d",
          "expr": "avg_over_time(target:redis_ping_slots:rate1h[30d:1h])"
        },
        {
          "record": "target:redis_ping_failures:rate30d",
          "expr": "avg_over_time(target:redis_ping_failures:rate1h[30d:1h])"
        },
        {
          "record": "target:redis_ping_slow:rate30d",
          "expr": "avg_over_time(target:redis_ping_slow:rate1h[30d:1h])"
        },
        {
          "record": "target:redis_ping_failures_per_slots:ratio_rate30d",
          "expr": "target:redis_ping_failures:rate30d / (target:redis_ping_slots:rate30d > 0)"
        },
        {
          "record": "target:redis_availability_slo:burn_rate30d",
          "expr": "target:redis_ping_failures_per_slots:ratio_rate30d / target:redis_availability_slo:allowed_ratio"
        },
        {
          "record": "job:redis_ping_failures_per_slots:ratio_rate30d",
          "expr": "sum by (job) (target:redis_ping_failures:rate30d) / (sum by (job) (target:redis_ping_slots:rate30d) > 0)"
        },
        {
          "record": "job:redis_availability_slo:burn_rate30d",
          "expr": "sum by (job) (target:redis_ping_failures:rate30d and target:redis_availability_slo:allowed_ratio) / (sum by (job) (target:redis_ping_slots:rate30d * target:redis_availability_slo:allowed_ratio) > 0)"
        },
        {
          "record": "target:redis_ping_slow_per_slots:ratio_rate30d",
          "expr": "target:redis_ping_slow:rate30d / (target:redis_ping_slots:rate30d > 0)"
        },
        {
          "record": "target:redis_latency_slo:burn_rate30d",
          "expr": "target:redis_ping_slow_per_slots:ratio_rate30d / target:redis_latency_slo:allowed_ratio"
        },
        {
          "record": "job:redis_ping_slow_per_slots:ratio_rate30d",
          "expr": "sum by (job) (target:redis_ping_slow:rate30d) / (sum by (job) (target:redis_ping_slots:rate30d) > 0)"
        },
        {
          "record": "job:redis_latency_slo:burn_rate30d",
          "expr": "sum by (job) (target:redis_ping_slow:rate30d and target:redis_latency_slo:allowed_ratio) / (sum by (job) (target:redis_ping_slots:rate30d * target:redis_latency_slo:allowed_ratio) > 0)"
        },
        {
          "record": "target:redis_availability_slo:budget_left_rate30d",
          "expr": "1 - target:redis_availability_slo:burn_rate30d"
        },
        {
          "record": "job:redis_availability_slo:budget_left_rate30d",
          "expr": "1 - job:redis_availability_slo:burn_rate30d"
        },
        {
          "record": "target:redis_latency_slo:budget_left_rate30d",
          "expr": "1 - target:redis_latency_slo:burn_rate30d"
        },
        {
          "record": "job:redis_latency_slo:budget_left_rate30d",
          "expr": "1 - job:redis_latency_slo:burn_rate30d"
        }
      ]
    },
    {
      "name": "redis-pulse-records",
      "rules": [
        {
          "record": "target:redis_ping_duration_seconds:p50_rate5m",
          "expr": "histogram_quantile(0.5, sum by (job, instance, target, le) (rate(redis_operation_duration_seconds_bucket{operation=\"ping\"}[5m])))"
        },
        {
          "record": "target:redis_ping_duration_seconds:p90_rate5m",
          "expr": "histogram_quantile(0.9, sum by (job, instance, target, le) (rate(redis_operation_duration_seconds_bucket{operation=\"ping\"}[5m])))"
        },
        {
          "record": "target:redis_ping_duration_seconds:p99_rate5m",
          "expr": "histogram_quantile(0.99, sum by (job, instance, target, le) (rate(redis_operation_duration_seconds_bucket{operation=\"ping\"}[5m])))"
        },
        {
          "record": "target:redis_commands_duration_seconds:rate5m",
          "expr": "sum by (job, instance, target) (rate(redis_commands_duration_seconds_total[5m]))"
        },
        {
          "record": "target:redis_commands:rate5m",
          "expr": "sum by (job, instance, target) (rate(redis_commands_total[5m]))"
        },
        {
          "record": "target:redis_commands_duration_seconds:mean_rate5m",
          "expr": "target:redis_commands_duration_seconds:rate5m / (target:redis_commands:rate5m > 0)"
        },
        {
          "record": "target:redis_keyspace_hits:rate5m",
          "expr": "rate(redis_keyspace_hits_total[5m])"
        },
        {
          "record": "target:redis_keyspace_lookups:rate5m",
          "expr": "rate(redis_keyspace_hits_total[5m]) + rate(redis_keyspace_misses_total[5m])"
        },
        {
          "record": "target:redis_keyspace_hits_per_lookups:ratio_rate5m",
          "expr": "target:redis_keyspace_hits:rate5m / (target:redis_keyspace_lookups:rate5m > 0)"
        },
        {
          "record": "job:redis_keyspace_hits_per_lookups:ratio_rate5m",
          "expr": "sum by (job) (target:redis_keyspace_hits:rate5m) / (sum by (job) (target:redis_keyspace_lookups:rate5m) > 0)"
        },
        {
          "record": "target:redis_memory_used_per_max:ratio",
          "expr": "redis_memory_used_bytes / (redis_memory_max_bytes > 0)"
        },
        {
          "record": "target:redis_clients_connected_per_max:ratio",
          "expr": "redis_connected_clients / (redis_max_clients > 0)"
        },
        {
          "record": "target:redis_main_thread_cpu_seconds:rate5m",
          "expr": "rate(redis_cpu_sys_main_thread_seconds_total[5m]) + rate(redis_cpu_user_main_thread_seconds_total[5m])"
        }
      ]
    },
    {
      "name": "redis-pulse-replication",
      "rules": [
        {
          "record": "replication_group:redis_members:count",
          "expr": "count by (job, instance, replication_group) (\n  (redis_target_info{replication_group!=\"\"} or label_replace(redis_target_info{replication_group=\"\", target=~\"(.+)/(?:master|replica-[0-9]+)\"}, \"replication_group\", \"$1\", \"target\", \"(.+)/(?:master|replica-[0-9]+)\"))\n  and on (job, instance, target) (redis_role{role=\"master\"} unless on (job, instance, target) redis_cluster_enabled == 1)\n)"
        },
        {
          "record": "replication_group:redis_masters:count",
          "expr": "count by (job, instance, replication_group) (\n  (redis_target_info{replication_group!=\"\"} or label_replace(redis_target_info{replication_group=\"\", target=~\"(.+)/(?:master|replica-[0-9]+)\"}, \"replication_group\", \"$1\", \"target\", \"(.+)/(?:master|replica-[0-9]+)\"))\n  and on (job, instance, target) ((redis_role{role=\"master\"} == 1) unless on (job, instance, target) redis_cluster_enabled == 1)\n  and on (job, instance, target) redis_up == 1\n)"
        }
      ]
    }
  ]
}
