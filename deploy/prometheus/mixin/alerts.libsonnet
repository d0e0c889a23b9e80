{
  "groups": [
    {
      "name": "redis-pulse-reachable",
      "rules": [
        {
          "alert": "RedisTargetDown",
          "expr": "redis_up == 0",
          "for": "1m",
          "labels": {
            "severity": "critical"
          },
          "annotations": {
            "summary": "Redis server {{ $labels.target }} is down",
            "description": "{{ $labels.target }} has not answered a ping of {{ $labels.instance }} within its deadline for a minute. The reason is in redis_operation_failures_total.",
            "runbook_url": "https://github.com/redis-pulse/redis-pulse/blob/main/docs/runbooks/RedisTargetDown.md"
          }
        },
        {
          "alert": "RedisProbeFailureRateHigh",
          "expr": "(\n    sum by (job, instance, target) (rate(redis_operation_failures_total{operation=\"ping\"}[5m]))\n  /\n    (sum by (job, instance, target) (rate(redis_operations_total{operation=\"ping\"}[5m])) > 0)\n) > 0.05\nand\nsum by (job, instance, target) (increase(redis_operation_failures_total{operation=\"ping\"}[5m])) >= 5",
          "for": "5m",
          "labels": {
            "severity": "warning"
          },
          "annotations": {
            "summary": "{{ $value | humanizePercentage }} of the pings of Redis server {{ $labels.target }} fail",
            "description": "Over 5 minutes {{ $value | humanizePercentage }} of the scheduled pings of {{ $labels.target }} by {{ $labels.instance }} failed. Clients of this server get errors or timeouts as well.",
            "runbook_url": "https://github.com/redis-pulse/redis-pulse/blob/main/docs/runbooks/RedisProbeFailureRateHigh.md"
          }
        },
        {
          "alert": "RedisAuthFailing",
          "expr": "(\n  sum by (job, instance, target) (\n    increase(redis_operation_failures_total{operation=~\"ping|connect\", reason=\"auth\"}[5m])\n  )\n  + on (job, instance, target)\n  sum by (job, instance, target) (increase(redis_operation_failures_total{operation=\"ping\", reason=\"permission\"}[5m]))\n) > 0\nand on (job, instance, target) redis_up == 0",
          "for": "1m",
          "labels": {
            "severity": "critical"
          },
          "annotations": {
            "summary": "Redis server {{ $labels.target }} does not let the exporter in",
            "description": "{{ $labels.target }} denies the credentials of {{ $labels.instance }}: the password or the ACL was changed on one side only. The server itself is up, but the exporter cannot read anything from it.",
            "runbook_url": "https://github.com/redis-pulse/redis-pulse/blob/main/docs/runbooks/RedisAuthFailing.md"
          }
        },
        {
          "alert": "RedisCredentialsNotRenewed",
          "expr": "sum by (job, instance, target) (increase(redis_credentials_refresh_failures_total[3m])) > 0\nor\nmax by (job, instance, target) (redis_credentials_expiry_timestamp_seconds - time()) < 0",
          "for": "4m",
          "labels": {
            "severity": "warning"
          },
          "annotations": {
            "summary": "The login to Redis server {{ $labels.target }} is not renewed",
            "description": "{{ $labels.instance }} cannot renew its login to {{ $labels.target }}. When the login has expired, no new connection is possible, and the service may cut the open ones. The reason is in redis_credentials_refresh_failures_total.",
            "runbook_url": "https://github.com/redis-pulse/redis-pulse/blob/main/docs/runbooks/RedisCredentialsNotRenewed.md"
          }
        },
        {
          "alert": "RedisCircuitBreakerOpen",
          "expr": "max by (job, instance, target) (redis_circuit_breaker_state{state=~\"open|half_open\"}) == 1",
          "for": "2m",
          "labels": {
            "severity": "warning"
          },
          "annotations": {
            "summary": "The circuit breaker of Redis server {{ $labels.target }} stays open",
            "description": "{{ $labels.instance }} has not polled {{ $labels.target }} for 2 minutes, because it kept failing. The metrics of this server are old or missing until a ping is answered.",
            "runbook_url": "https://github.com/redis-pulse/redis-pulse/blob/main/docs/runbooks/RedisCircuitBreakerOpen.md"
          }
        },
        {
          "alert": "RedisCircuitBreakerFlapping",
          "expr": "round(sum by (job, instance, target) (increase(redis_circuit_breaker_transitions_total{from_state=\"closed\", to_state=\"open\"}[15m]))) > 3",
          "labels": {
            "severity": "warning"
          },
          "annotations": {
            "summary": "Redis server {{ $labels.target }} keeps failing and recovering",
            "description": "The circuit breaker of {{ $labels.target }} in {{ $labels.instance }} opened {{ $value | humanize }} times within 15 minutes and closed again in between. The server answers for a while, then it fails again.",
            "runbook_url": "https://github.com/redis-pulse/redis-pulse/blob/main/docs/runbooks/RedisCircuitBreakerFlapping.md"
          }
        }
      ]
    },
    {
      "name": "redis-pulse-exporter",
      "rules": [
        {
          "alert": "RedisExporterDown",
          "expr": "up{job=~\".*redis-pulse.*\"} == 0",
          "for": "2m",
          "labels": {
            "severity": "critical"
          },
          "annotations": {
            "summary": "The Redis exporter {{ $labels.instance }} cannot be scraped",
            "description": "Prometheus has not been able to scrape {{ $labels.instance }} of the job {{ $labels.job }} for 2 minutes. Its servers are not monitored, and no other alert about them can fire.",
            "runbook_url": "https://github.com/redis-pulse/redis-pulse/blob/main/docs/runbooks/RedisExporterDown.md"
          }
        },
        {
          "alert": "RedisExporterAbsent",
          "expr": "count by (job) (up{job=~\".*redis-pulse.*\"} offset 1h) unless count by (job) (up{job=~\".*redis-pulse.*\"})",
          "for": "5m",
          "labels": {
            "severity": "warning"
          },
          "annotations": {
            "summary": "The Redis exporters of the job {{ $labels.job }} are gone",
            "description": "An hour ago Prometheus scraped the job {{ $labels.job }}, and now the job has no instance. No alert about its servers can fire. This alert ends by itself after an hour.",
            "runbook_url": "https://github.com/redis-pulse/redis-pulse/blob/main/docs/runbooks/RedisExporterAbsent.md"
          }
        },
        {
          "alert": "RedisExporterReloadFailed",
          "expr": "redis_exporter_config_last_reload_successful == 0",
          "for": "5m",
          "labels": {
            "severity": "warning"
          },
          "annotations": {
            "summary": "The Redis exporter {{ $labels.instance }} refuses its new configuration",
            "description": "{{ $labels.instance }} could not load its new configuration and continues with the previous one. It would not start with the new one. The log has the reason.",
            "runbook_url": "https://github.com/redis-pulse/redis-pulse/blob/main/docs/runbooks/RedisExporterReloadFailed.md"
          }
        },
        {
          "alert": "RedisExporterWebConfigInvalid",
          "expr": "redis_exporter_web_config_valid == 0",
          "for": "5m",
          "labels": {
            "severity": "warning"
          },
          "annotations": {
            "summary": "The Redis exporter {{ $labels.instance }} refuses its web configuration file",
            "description": "{{ $labels.instance }} cannot use its new web configuration file, or a certificate or token file that it names. The previous certificate and users stay in force. A restart would fail. The log has the reason.",
            "runbook_url": "https://github.com/redis-pulse/redis-pulse/blob/main/docs/runbooks/RedisExporterWebConfigInvalid.md"
          }
        },
        {
          "alert": "RedisDiscoveryFailing",
          "expr": "increase(redis_exporter_discovery_failures_total[10m]) / (increase(redis_exporter_discovery_refreshes_total[10m]) > 0) > 0.99",
          "for": "5m",
          "labels": {
            "severity": "warning"
          },
          "annotations": {
            "summary": "The exporter {{ $labels.instance }} gets no targets from {{ $labels.source }}",
            "description": "The source {{ $labels.source }} ({{ $labels.kind }}) does not answer {{ $labels.instance }}. Its known targets stay, and new targets are not found.",
            "runbook_url": "https://github.com/redis-pulse/redis-pulse/blob/main/docs/runbooks/RedisDiscoveryFailing.md"
          }
        },
        {
          "alert": "RedisDiscoveryTruncated",
          "expr": "redis_exporter_discovery_left_out_targets > 0",
          "for": "5m",
          "labels": {
            "severity": "warning"
          },
          "annotations": {
            "summary": "{{ $value }} Redis servers from {{ $labels.source }} are not watched",
            "description": "The source {{ $labels.source }} ({{ $labels.kind }}) names {{ $value }} servers beyond a limit of {{ $labels.instance }}, usually discovery.max_targets. They are not watched, and no alert about them can fire.",
            "runbook_url": "https://github.com/redis-pulse/redis-pulse/blob/main/docs/runbooks/RedisDiscoveryTruncated.md"
          }
        },
        {
          "alert": "RedisSamplesStale",
          "expr": "max by (job, instance, target, collector) (redis_sample_age_seconds) > 45\nunless on (job, instance, target) redis_up == 0",
          "for": "5m",
          "labels": {
            "severity": "warning"
          },
          "annotations": {
            "summary": "The samples of Redis server {{ $labels.target }} are {{ $value | humanizeDuration }} old",
            "description": "The collector {{ $labels.collector }} of {{ $labels.instance }} has not succeeded on {{ $labels.target }} for {{ $value | humanizeDuration }}, although the server answers pings. Its metrics are missing.",
            "runbook_url": "https://github.com/redis-pulse/redis-pulse/blob/main/docs/runbooks/RedisSamplesStale.md"
          }
        },
        {
          "alert": "RedisCollectorFailing",
          "expr": "redis_collector_success == 0 unless on (job, instance, target) redis_up == 0",
          "for": "5m",
          "labels": {
            "severity": "warning"
          },
          "annotations": {
            "summary": "The collector {{ $labels.collector }} fails on Redis server {{ $labels.target }}",
            "description": "{{ $labels.instance }} cannot run {{ $labels.collector }} on {{ $labels.target }}, although the server answers pings. redis_operation_failures_total has the reason. If redis_collector_denied is 1, the user lacks a permission, which /health names.",
            "runbook_url": "https://github.com/redis-pulse/redis-pulse/blob/main/docs/runbooks/RedisCollectorFailing.md"
          }
        },
        {
          "alert": "RedisProbeScheduleLate",
          "expr": "sum by (job, instance) (rate(redis_operation_failures_total{operation=\"ping\", reason=\"skipped\"}[5m])) / (sum by (job, instance) (rate(redis_operations_total{operation=\"ping\"}[5m])) > 0) > 0.01\nor\nsum by (job, instance) (rate(redis_exporter_probe_uncertain_sends_total[5m])) / (sum by (job, instance) (rate(redis_operations_total{operation=\"ping\"}[5m])) > 0) > 0.01\nor\n(\n    histogram_quantile(0.99, sum by (job, instance, le) (rate(redis_exporter_loop_lag_seconds_bucket[5m]))) > 0.005\n  and on (job, instance)\n    sum by (job, instance) (rate(redis_probe_clock_total{clock=\"user\"}[5m])) / (sum by (job, instance) (rate(redis_operations_total{operation=\"ping\"}[5m])) > 0) > 0.01\n)",
          "for": "10m",
          "labels": {
            "severity": "warning"
          },
          "annotations": {
            "summary": "The latencies that {{ $labels.instance }} measures are suspect",
            "description": "{{ $labels.instance }} itself is too late: it skips pings, does not know when they were sent, or reads replies late. The reported latencies or failures may be its own. It has too little CPU, or watches too many servers.",
            "runbook_url": "https://github.com/redis-pulse/redis-pulse/blob/main/docs/runbooks/RedisProbeScheduleLate.md"
          }
        }
      ]
    },
    {
      "name": "redis-pulse-slo",
      "rules": [
        {
          "alert": "RedisErrorBudgetBurnFast",
          "expr": "(\n    target:redis_availability_slo:burn_rate1h > 14.4\n  and\n    target:redis_availability_slo:burn_rate5m > 14.4\n  and\n    target:redis_ping_failures:rate1h * 3600 >= 10\n)",
          "for": "2m",
          "labels": {
            "severity": "critical"
          },
          "annotations": {
            "summary": "Redis server {{ $labels.target }} burns its availability budget {{ $value | humanize }} times too fast",
            "description": "More pings of {{ $labels.target }} by {{ $labels.instance }} fail than its objective (slo.objective) allows. {{ with query (printf \"topk(1, sum by (cause) (increase(redis_stall_seconds_total{job=%q, instance=%q, target=%q}[1h])) > 0)\" $labels.job $labels.instance $labels.target) }}Main cause of the stalls of the last 1h: {{ . | first | label \"cause\" }} ({{ . | first | value | humanizeDuration }}). docs/stalls.md has a section about it.{{ else }}No stall that ended in the last 1h was recorded.{{ end }} This rate uses 2 % of the 30-day budget in an hour.",
            "runbook_url": "https://github.com/redis-pulse/redis-pulse/blob/main/docs/runbooks/RedisErrorBudgetBurnFast.md"
          }
        },
        {
          "alert": "RedisErrorBudgetBurnSlow",
          "expr": "(\n    target:redis_availability_slo:burn_rate6h > 6\n  and\n    target:redis_availability_slo:burn_rate30m > 6\n  and\n    target:redis_ping_failures:rate6h * 21600 >= 10\n)",
          "for": "15m",
          "labels": {
            "severity": "critical"
          },
          "annotations": {
            "summary": "Redis server {{ $labels.target }} burns its availability budget {{ $value | humanize }} times too fast",
            "description": "More pings of {{ $labels.target }} by {{ $labels.instance }} fail than its objective (slo.objective) allows. {{ with query (printf \"topk(1, sum by (cause) (increase(redis_stall_seconds_total{job=%q, instance=%q, target=%q}[6h])) > 0)\" $labels.job $labels.instance $labels.target) }}Main cause of the stalls of the last 6h: {{ . | first | label \"cause\" }} ({{ . | first | value | humanizeDuration }}). docs/stalls.md has a section about it.{{ else }}No stall that ended in the last 6h was recorded.{{ end }} This rate uses 5 % of the 30-day budget in six hours.",
            "runbook_url": "https://github.com/redis-pulse/redis-pulse/blob/main/docs/runbooks/RedisErrorBudgetBurnSlow.md"
          }
        },
        {
          "alert": "RedisErrorBudgetBurnTicket",
          "expr": "(\n    target:redis_availability_slo:burn_rate1d > 3\n  and\n    target:redis_availability_slo:burn_rate2h > 3\n  and\n    target:redis_ping_failures:rate2h * 7200 >= 10\n)\nor\n(\n    target:redis_availability_slo:burn_rate3d > 1\n  and\n    target:redis_availability_slo:burn_rate6h > 1\n  and\n    target:redis_ping_failures:rate6h * 21600 >= 10\n)",
          "for": "1h",
          "labels": {
            "severity": "warning"
          },
          "annotations": {
            "summary": "Redis server {{ $labels.target }} burns its availability budget {{ $value | humanize }} times too fast",
            "description": "More pings of {{ $labels.target }} by {{ $labels.instance }} fail than its objective (slo.objective) allows. {{ with query (printf \"topk(1, sum by (cause) (increase(redis_stall_seconds_total{job=%q, instance=%q, target=%q}[1d])) > 0)\" $labels.job $labels.instance $labels.target) }}Main cause of the stalls of the last 1d: {{ . | first | label \"cause\" }} ({{ . | first | value | humanizeDuration }}). docs/stalls.md has a section about it.{{ else }}No stall that ended in the last 1d was recorded.{{ end }} This rate uses 10 % of the 30-day budget in one to three days.",
            "runbook_url": "https://github.com/redis-pulse/redis-pulse/blob/main/docs/runbooks/RedisErrorBudgetBurnTicket.md"
          }
        },
        {
          "alert": "RedisLatencyBudgetBurnFast",
          "expr": "(\n    target:redis_latency_slo:burn_rate1h > 14.4\n  and\n    target:redis_latency_slo:burn_rate5m > 14.4\n  and\n    target:redis_ping_slow:rate1h * 3600 >= 10\n)",
          "for": "2m",
          "labels": {
            "severity": "critical"
          },
          "annotations": {
            "summary": "Redis server {{ $labels.target }} burns its latency budget {{ $value | humanize }} times too fast",
            "description": "More pings of {{ $labels.target }} by {{ $labels.instance }} are late or fail than its objective (slo.objective) allows. Late is more than 10 ms. {{ with query (printf \"topk(1, sum by (cause) (increase(redis_stall_seconds_total{job=%q, instance=%q, target=%q}[1h])) > 0)\" $labels.job $labels.instance $labels.target) }}Main cause of the stalls of the last 1h: {{ . | first | label \"cause\" }} ({{ . | first | value | humanizeDuration }}). docs/stalls.md has a section about it.{{ else }}No stall that ended in the last 1h was recorded.{{ end }} This rate uses 2 % of the 30-day budget in an hour.",
            "runbook_url": "https://github.com/redis-pulse/redis-pulse/blob/main/docs/runbooks/RedisLatencyBudgetBurnFast.md"
          }
        },
        {
          "alert": "RedisLatencyBudgetBurnSlow",
          "expr": "(\n    target:redis_latency_slo:burn_rate6h > 6\n  and\n    target:redis_latency_slo:burn_rate30m > 6\n  and\n    target:redis_ping_slow:rate6h * 21600 >= 10\n)",
          "for": "15m",
          "labels": {
            "severity": "critical"
          },
          "annotations": {
            "summary": "Redis server {{ $labels.target }} burns its latency budget {{ $value | humanize }} times too fast",
            "description": "More pings of {{ $labels.target }} by {{ $labels.instance }} are late or fail than its objective (slo.objective) allows. Late is more than 10 ms. {{ with query (printf \"topk(1, sum by (cause) (increase(redis_stall_seconds_total{job=%q, instance=%q, target=%q}[6h])) > 0)\" $labels.job $labels.instance $labels.target) }}Main cause of the stalls of the last 6h: {{ . | first | label \"cause\" }} ({{ . | first | value | humanizeDuration }}). docs/stalls.md has a section about it.{{ else }}No stall that ended in the last 6h was recorded.{{ end }} This rate uses 5 % of the 30-day budget in six hours.",
            "runbook_url": "https://github.com/redis-pulse/redis-pulse/blob/main/docs/runbooks/RedisLatencyBudgetBurnSlow.md"
          }
        },
        {
          "alert": "RedisLatencyBudgetBurnTicket",
          "expr": "(\n    target:redis_latency_slo:burn_rate1d > 3\n  and\n    target:redis_latency_slo:burn_rate2h > 3\n  and\n    target:redis_ping_slow:rate2h * 7200 >= 10\n)\nor\n(\n    target:redis_latency_slo:burn_rate3d > 1\n  and\n    target:redis_latency_slo:burn_rate6h > 1\n  and\n    target:redis_ping_slow:rate6h * 21600 >= 10\n)",
          "for": "1h",
          "labels": {
            "severity": "warning"
          },
          "annotations": {
            "summary": "Redis server {{ $labels.target }} burns its latency budget {{ $value | humanize }} times too fast",
            "description": "More pings of {{ $labels.target }} by {{ $labels.instance }} are late or fail than its objective (slo.objective) allows. Late is more than 10 ms. {{ with query (printf \"topk(1, sum by (cause) (increase(redis_stall_seconds_total{job=%q, instance=%q, target=%q}[1d])) > 0)\" $labels.job $labels.instance $labels.target) }}Main cause of the stalls of the last 1d: {{ . | first | label \"cause\" }} ({{ . | first | value | humanizeDuration }}). docs/stalls.md has a section about it.{{ else }}No stall that ended in the last 1d was recorded.{{ end }} This rate uses 10 % of the 30-day budget in one to three days.",
            "runbook_url": "https://github.com/redis-pulse/redis-pulse/blob/main/docs/runbooks/RedisLatencyBudgetBurnTicket.md"
          }
        }
      ]
    },
    {
      "name": "redis-pulse-stalls",
      "rules": [
        {
          "alert": "RedisStalls",
          "expr": "(min_over_time(redis_stall_in_progress[5m]) == 1 unless on (job, instance, target) redis_up == 0)\nor on (job, instance, target)\nround(sum by (job, instance, target) (increase(redis_stalls_total[15m]))) >= 3",
          "labels": {
            "severity": "warning"
          },
          "annotations": {
            "summary": "Clients of Redis server {{ $labels.target }} wait again and again",
            "description": "{{ $labels.target }} kept pings of {{ $labels.instance }} waiting. {{ with query (printf \"topk(1, sum by (cause) (increase(redis_stall_seconds_total{job=%q, instance=%q, target=%q}[15m])) > 0)\" $labels.job $labels.instance $labels.target) }}Main cause of the stalls of the last 15m: {{ . | first | label \"cause\" }} ({{ . | first | value | humanizeDuration }}). docs/stalls.md has a section about it.{{ else }}No stall that ended in the last 15m was recorded.{{ end }} GET /stalls of the exporter shows each stall with its evidence and what to do. For not_running in Kubernetes, look at container_cpu_cfs_throttled_periods_total of the pod.",
            "runbook_url": "https://github.com/redis-pulse/redis-pulse/blob/main/docs/runbooks/RedisStalls.md"
          }
        }
      ]
    },
    {
      "name": "redis-pulse-capacity",
      "rules": [
        {
          "alert": "RedisMemoryNearMaxmemory",
          "expr": "redis_memory_used_bytes / (redis_memory_max_bytes > 0) > 0.9\nand on (job, instance, target) redis_instance_info{maxmemory_policy=\"noeviction\"}",
          "for": "10m",
          "labels": {
            "severity": "warning"
          },
          "annotations": {
            "summary": "Redis server {{ $labels.target }} has used {{ $value | humanizePercentage }} of its memory",
            "description": "{{ $labels.target }} evicts nothing (maxmemory-policy noeviction): at maxmemory it refuses every write with OOM.",
            "runbook_url": "https://github.com/redis-pulse/redis-pulse/blob/main/docs/runbooks/RedisMemoryNearMaxmemory.md"
          }
        },
        {
          "alert": "RedisMemoryNearMaxmemory",
          "expr": "redis_memory_used_bytes / (redis_memory_max_bytes > 0) > 0.98\nand on (job, instance, target) redis_instance_info{maxmemory_policy=\"noeviction\"}",
          "for": "10m",
          "labels": {
            "severity": "critical"
          },
          "annotations": {
            "summary": "Redis server {{ $labels.target }} has used {{ $value | humanizePercentage }} of its memory",
            "description": "{{ $labels.target }} evicts nothing (maxmemory-policy noeviction): at maxmemory it refuses every write with OOM.",
            "runbook_url": "https://github.com/redis-pulse/redis-pulse/blob/main/docs/runbooks/RedisMemoryNearMaxmemory.md"
          }
        },
        {
          "alert": "RedisEvicting",
          "expr": "rate(redis_evicted_keys_total[10m]) * 3600\n> on (job, instance, target)\nsum by (job, instance, target) (redis_db_keys)",
          "for": "10m",
          "labels": {
            "severity": "warning"
          },
          "annotations": {
            "summary": "Redis server {{ $labels.target }} evicts {{ $value | humanize }} keys an hour, more than it holds",
            "description": "The cache {{ $labels.target }} is too small for the data that is written to it. At this rate all its keys are replaced within an hour, and its hit ratio falls.",
            "runbook_url": "https://github.com/redis-pulse/redis-pulse/blob/main/docs/runbooks/RedisEvicting.md"
          }
        },
        {
          "alert": "RedisConnectionsNearLimit",
          "expr": "redis_connected_clients / (redis_max_clients > 0) > 0.85",
          "for": "5m",
          "labels": {
            "severity": "warning"
          },
          "annotations": {
            "summary": "Redis server {{ $labels.target }} has used {{ $value | humanizePercentage }} of its connections",
            "description": "At maxclients, {{ $labels.target }} refuses every new connection, including those of the exporter and of administrators.",
            "runbook_url": "https://github.com/redis-pulse/redis-pulse/blob/main/docs/runbooks/RedisConnectionsNearLimit.md"
          }
        },
        {
          "alert": "RedisConnectionsRejected",
          "expr": "(increase(redis_rejected_connections_total[5m]) > 0 unless on (job, instance, target) count by (job, instance, target) (count by (job, instance, target, address) (last_over_time(redis_target_info[5m]))) > 1)\nor\nsum by (job, instance, target) (\n  increase(redis_operation_failures_total{operation=~\"ping|connect\", reason=\"maxclients\"}[5m])\n) > 0",
          "labels": {
            "severity": "critical"
          },
          "annotations": {
            "summary": "Redis server {{ $labels.target }} refuses connections",
            "description": "maxclients is reached: {{ $labels.target }} closed new connections within the last 5 minutes.",
            "runbook_url": "https://github.com/redis-pulse/redis-pulse/blob/main/docs/runbooks/RedisConnectionsRejected.md"
          }
        },
        {
          "alert": "RedisMainThreadSaturated",
          "expr": "rate(redis_cpu_sys_main_thread_seconds_total[5m])\n+ rate(redis_cpu_user_main_thread_seconds_total[5m])\n> 0.85",
          "for": "10m",
          "labels": {
            "severity": "warning"
          },
          "annotations": {
            "summary": "The main thread of Redis server {{ $labels.target }} is busy {{ $value | humanizePercentage }} of the time",
            "description": "{{ $labels.target }} runs its commands one after the other, on one core, and this core is full. Every further command waits.",
            "runbook_url": "https://github.com/redis-pulse/redis-pulse/blob/main/docs/runbooks/RedisMainThreadSaturated.md"
          }
        },
        {
          "alert": "RedisErrorReplies",
          "expr": "(\n    rate(redis_errors_total{err!~\"MOVED|ASK|NOSCRIPT|BUSYGROUP|BUSYKEY|LOADING|OOM|MISCONF|READONLY\"}[5m])\n  / on (job, instance, target) group_left ()\n    (rate(redis_commands_processed_total[5m]) > 0)\n) > 0.05\nand\nincrease(redis_errors_total[5m]) >= 10",
          "for": "5m",
          "labels": {
            "severity": "warning"
          },
          "annotations": {
            "summary": "Redis server {{ $labels.target }} answers {{ $value | humanizePercentage }} of its commands with {{ $labels.err }}",
            "description": "Clients of {{ $labels.target }} get the error {{ $labels.err }}. The cause is in the clients (ERR, WRONGTYPE, NOAUTH, NOPERM) or in the server (BUSY, CLUSTERDOWN).",
            "runbook_url": "https://github.com/redis-pulse/redis-pulse/blob/main/docs/runbooks/RedisErrorReplies.md"
          }
        },
        {
          "alert": "RedisErrorRepliesOOM",
          "expr": "increase(redis_errors_total{err=\"OOM\"}[5m]) > 0",
          "for": "5m",
          "labels": {
            "severity": "critical"
          },
          "annotations": {
            "summary": "Redis server {{ $labels.target }} refuses writes: out of memory",
            "description": "Clients of {{ $labels.target }} get the error OOM: maxmemory is reached, and no key may be evicted.",
            "runbook_url": "https://github.com/redis-pulse/redis-pulse/blob/main/docs/runbooks/RedisErrorRepliesOOM.md"
          }
        },
        {
          "alert": "RedisErrorRepliesMISCONF",
          "expr": "increase(redis_errors_total{err=\"MISCONF\"}[5m]) > 0",
          "for": "5m",
          "labels": {
            "severity": "critical"
          },
          "annotations": {
            "summary": "Redis server {{ $labels.target }} refuses writes: it cannot save",
            "description": "Clients of {{ $labels.target }} get the error MISCONF: the last snapshot or append failed, and stop-writes-on-bgsave-error is on.",
            "runbook_url": "https://github.com/redis-pulse/redis-pulse/blob/main/docs/runbooks/RedisErrorRepliesMISCONF.md"
          }
        },
        {
          "alert": "RedisErrorRepliesREADONLY",
          "expr": "increase(redis_errors_total{err=\"READONLY\"}[5m]) > 0",
          "for": "5m",
          "labels": {
            "severity": "warning"
          },
          "annotations": {
            "summary": "Redis server {{ $labels.target }} gets writes, but is a replica",
            "description": "Clients of {{ $labels.target }} get the error READONLY: clients still write to a server that is not a master, mostly after a failover.",
            "runbook_url": "https://github.com/redis-pulse/redis-pulse/blob/main/docs/runbooks/RedisErrorRepliesREADONLY.md"
          }
        }
      ]
    },
    {
      "name": "redis-pulse-keyspace",
      "rules": [
        {
          "alert": "RedisKeyPatternFillsMemory",
          "expr": "(\n  (\n      predict_linear(redis_keyspace_sample_memory_bytes[6h], 345600)\n    - redis_keyspace_sample_memory_bytes\n  )\n  > on (job, instance, target) group_left ()\n  ((redis_memory_max_bytes > 0) - redis_memory_used_bytes)\n)\nand\n(\n    redis_keyspace_sample_memory_bytes - redis_keyspace_sample_memory_bytes offset 6h\n  > on (job, instance, target, db, pattern, type)\n    sqrt(redis_keyspace_sample_memory_error_bytes ^ 2 + (redis_keyspace_sample_memory_error_bytes offset 6h) ^ 2)\n)\nand on (job, instance, target) redis_instance_info{maxmemory_policy=\"noeviction\"}",
          "for": "1h",
          "labels": {
            "severity": "warning"
          },
          "annotations": {
            "summary": "Keys {{ $labels.pattern }} will fill Redis server {{ $labels.target }} within days",
            "description": "{{ $labels.type }} keys {{ $labels.pattern }} in {{ $labels.db }} grow. At this rate they reach maxmemory within 4 days, and {{ $labels.target }} then refuses writes.",
            "runbook_url": "https://github.com/redis-pulse/redis-pulse/blob/main/docs/runbooks/RedisKeyPatternFillsMemory.md"
          }
        },
        {
          "alert": "RedisKeyTooLarge",
          "expr": "(\n  redis_keyspace_sample_largest_key_bytes\n  / on (job, instance, target) group_left () redis_memory_used_bytes\n) > 0.1\nand redis_keyspace_sample_largest_key_bytes > 1e7",
          "for": "10m",
          "labels": {
            "severity": "warning"
          },
          "annotations": {
            "summary": "One key takes {{ $value | humanizePercentage }} of the memory of Redis server {{ $labels.target }}",
            "description": "A {{ $labels.type }} key of the pattern {{ $labels.pattern }} in {{ $labels.db }} is huge. Commands on it block {{ $labels.target }}, and no shard can share it.",
            "runbook_url": "https://github.com/redis-pulse/redis-pulse/blob/main/docs/runbooks/RedisKeyTooLarge.md"
          }
        },
        {
          "alert": "RedisKeysWithoutExpiry",
          "expr": "(redis_keyspace_sample_without_expiry_ratio > 0.01 < 0.2)\nand\nredis_keyspace_sample_without_expiry_ratio * redis_keyspace_sample_keys > 1000",
          "for": "1h",
          "labels": {
            "severity": "info"
          },
          "annotations": {
            "summary": "Some keys {{ $labels.pattern }} of Redis server {{ $labels.target }} never expire",
            "description": "{{ $value | humanizePercentage }} of the {{ $labels.type }} keys {{ $labels.pattern }} have no expiry. All others have one. Some client forgets it, and these keys stay in {{ $labels.db }}.",
            "runbook_url": "https://github.com/redis-pulse/redis-pulse/blob/main/docs/runbooks/RedisKeysWithoutExpiry.md"
          }
        },
        {
          "alert": "RedisSlotHot",
          "expr": "rate(redis_slot_cpu_seconds_total[10m]) > 0.2",
          "for": "15m",
          "labels": {
            "severity": "warning"
          },
          "annotations": {
            "summary": "Slot {{ $labels.slot }} uses {{ $value | humanizePercentage }} of a core of {{ $labels.target }}",
            "description": "The commands on the keys of slot {{ $labels.slot }} use much of the main thread of {{ $labels.target }}. One key in it is hot, or a hash tag {…} binds many keys to it.",
            "runbook_url": "https://github.com/redis-pulse/redis-pulse/blob/main/docs/runbooks/RedisSlotHot.md"
          }
        }
      ]
    },
    {
      "name": "redis-pulse-replication",
      "rules": [
        {
          "alert": "RedisNoMaster",
          "expr": "replication_group:redis_members:count unless replication_group:redis_masters:count",
          "for": "2m",
          "labels": {
            "severity": "critical"
          },
          "annotations": {
            "summary": "The replication group {{ $labels.replication_group }} has no master",
            "description": "None of the servers of {{ $labels.replication_group }} that {{ $labels.instance }} watches is a master that is up. Writes are not possible.",
            "runbook_url": "https://github.com/redis-pulse/redis-pulse/blob/main/docs/runbooks/RedisNoMaster.md"
          }
        },
        {
          "alert": "RedisSplitBrain",
          "expr": "replication_group:redis_masters:count > 1",
          "for": "2m",
          "labels": {
            "severity": "critical"
          },
          "annotations": {
            "summary": "The replication group {{ $labels.replication_group }} has {{ $value }} masters",
            "description": "{{ $value }} servers of {{ $labels.replication_group }} accept writes independently of each other. One of them will lose its writes.",
            "runbook_url": "https://github.com/redis-pulse/redis-pulse/blob/main/docs/runbooks/RedisSplitBrain.md"
          }
        },
        {
          "alert": "RedisReplicationLinkDown",
          "expr": "redis_master_link_up == 0 unless on (job, instance, target, master_host, master_port) redis_master_sync_in_progress == 1",
          "for": "5m",
          "labels": {
            "severity": "critical"
          },
          "annotations": {
            "summary": "The replica {{ $labels.target }} has lost its master",
            "description": "{{ $labels.target }} has no link to {{ $labels.master_host }}:{{ $labels.master_port }}. It serves old data, and it cannot take over without data loss.",
            "runbook_url": "https://github.com/redis-pulse/redis-pulse/blob/main/docs/runbooks/RedisReplicationLinkDown.md"
          }
        },
        {
          "alert": "RedisFullResyncStorm",
          "expr": "round(increase(redis_replica_full_resyncs_total[1h])) > 3 unless on (job, instance, target) count by (job, instance, target) (count by (job, instance, target, address) (last_over_time(redis_target_info[1h]))) > 1",
          "for": "5m",
          "labels": {
            "severity": "warning"
          },
          "annotations": {
            "summary": "The master {{ $labels.target }} sends its whole dataset again and again",
            "description": "{{ $value | humanize }} full resynchronisations within an hour. Replicas lose the link for longer than the backlog lasts, or are disconnected while they receive. Each costs a fork, network traffic, and the availability of the replica.",
            "runbook_url": "https://github.com/redis-pulse/redis-pulse/blob/main/docs/runbooks/RedisFullResyncStorm.md"
          }
        },
        {
          "alert": "RedisFullSyncStuck",
          "expr": "redis_master_link_up == 0\nand on (job, instance, target, master_host, master_port) max_over_time(redis_master_sync_in_progress[10m]) == 1\nunless on (job, instance, target, master_host, master_port) changes(redis_master_sync_left_bytes[10m]) > 0\nunless on (job, instance, target) redis_loading_dump_file == 1",
          "for": "10m",
          "labels": {
            "severity": "warning"
          },
          "annotations": {
            "summary": "The full resynchronisation of the replica {{ $labels.target }} is stuck",
            "description": "{{ $labels.target }} waits for the dataset of {{ $labels.master_host }}:{{ $labels.master_port }}, and nothing arrives. Until it is complete, the replica serves old data or none.",
            "runbook_url": "https://github.com/redis-pulse/redis-pulse/blob/main/docs/runbooks/RedisFullSyncStuck.md"
          }
        },
        {
          "alert": "RedisReplicationLagBytes",
          "expr": "redis_replica_lag_bytes > 67108864",
          "for": "5m",
          "labels": {
            "severity": "warning"
          },
          "annotations": {
            "summary": "The replica {{ $labels.slave_ip }}:{{ $labels.slave_port }} of {{ $labels.target }} is {{ $value | humanize1024 }}B behind",
            "description": "When the replica falls out of the backlog, or its output buffer on {{ $labels.target }} is full, it is disconnected. Then it must receive the whole dataset again. A failover loses the missing data.",
            "runbook_url": "https://github.com/redis-pulse/redis-pulse/blob/main/docs/runbooks/RedisReplicationLagBytes.md"
          }
        },
        {
          "alert": "RedisReplicationLagSeconds",
          "expr": "redis_replica_lag_seconds > 10 or redis_replication_delay_seconds > 10",
          "for": "5m",
          "labels": {
            "severity": "warning"
          },
          "annotations": {
            "summary": "A replica of {{ $labels.target }} is {{ $value | humanizeDuration }} behind",
            "description": "The replica {{ $labels.slave_ip }}{{ $labels.replica }} is behind {{ $labels.target }}. Clients that read from it get old data.",
            "runbook_url": "https://github.com/redis-pulse/redis-pulse/blob/main/docs/runbooks/RedisReplicationLagSeconds.md"
          }
        }
      ]
    },
    {
      "name": "redis-pulse-durability",
      "rules": [
        {
          "alert": "RedisPersistenceFailing",
          "expr": "label_replace(redis_rdb_last_bgsave_status == 0, \"what\", \"snapshot (RDB)\", \"\", \"\")\nor\nlabel_replace(redis_aof_last_write_status == 0, \"what\", \"write to the append-only file\", \"\", \"\")\nor\nlabel_replace(redis_aof_last_bgrewrite_status == 0, \"what\", \"rewrite of the append-only file\", \"\", \"\")",
          "for": "5m",
          "labels": {
            "severity": "critical"
          },
          "annotations": {
            "summary": "Redis server {{ $labels.target }} cannot save: its last {{ $labels.what }} failed",
            "description": "If {{ $labels.target }} stops now, it loses all writes since then. With stop-writes-on-bgsave-error it refuses writes (MISCONF).",
            "runbook_url": "https://github.com/redis-pulse/redis-pulse/blob/main/docs/runbooks/RedisPersistenceFailing.md"
          }
        },
        {
          "alert": "RedisBackupStale",
          "expr": "time() - redis_rdb_last_save_timestamp_seconds > 86400\nand redis_rdb_changes_since_last_save > 0\nand redis_rdb_snapshots_total > 0",
          "for": "5m",
          "labels": {
            "severity": "warning"
          },
          "annotations": {
            "summary": "The last snapshot of Redis server {{ $labels.target }} is {{ $value | humanizeDuration }} old",
            "description": "{{ $labels.target }} wrote snapshots after its start, but none for {{ $value | humanizeDuration }}.",
            "runbook_url": "https://github.com/redis-pulse/redis-pulse/blob/main/docs/runbooks/RedisBackupStale.md"
          }
        },
        {
          "alert": "RedisTLSCertificateExpiring",
          "expr": "redis_tls_certificate_expiry_timestamp_seconds - time() < 21 * 86400",
          "for": "1h",
          "labels": {
            "severity": "warning"
          },
          "annotations": {
            "summary": "The certificate of Redis server {{ $labels.target }} expires in {{ $value | humanizeDuration }}",
            "description": "After it has expired, clients that check certificates can no longer connect to {{ $labels.target }}.",
            "runbook_url": "https://github.com/redis-pulse/redis-pulse/blob/main/docs/runbooks/RedisTLSCertificateExpiring.md"
          }
        },
        {
          "alert": "RedisTLSCertificateExpiring",
          "expr": "redis_tls_certificate_expiry_timestamp_seconds - time() < 7 * 86400",
          "for": "1h",
          "labels": {
            "severity": "critical"
          },
          "annotations": {
            "summary": "The certificate of Redis server {{ $labels.target }} expires in {{ $value | humanizeDuration }}",
            "description": "After it has expired, clients that check certificates can no longer connect to {{ $labels.target }}.",
            "runbook_url": "https://github.com/redis-pulse/redis-pulse/blob/main/docs/runbooks/RedisTLSCertificateExpiring.md"
          }
        },
        {
          "alert": "RedisServerCertificateExpiring",
          "expr": "(\n     label_replace(redis_tls_server_cert_expires_in_seconds, \"certificate\", \"server\", \"\", \"\")\n  or label_replace(redis_tls_client_cert_expires_in_seconds, \"certificate\", \"client\", \"\", \"\")\n  or label_replace(redis_tls_ca_cert_expires_in_seconds, \"certificate\", \"ca\", \"\", \"\")\n) < 14 * 86400",
          "for": "1h",
          "labels": {
            "severity": "warning"
          },
          "annotations": {
            "summary": "The {{ $labels.certificate }} certificate of Redis server {{ $labels.target }} expires in {{ $value | humanizeDuration }}",
            "description": "After it has expired, {{ $labels.target }} refuses or loses connections that check it: of clients, of replicas or of other nodes.",
            "runbook_url": "https://github.com/redis-pulse/redis-pulse/blob/main/docs/runbooks/RedisServerCertificateExpiring.md"
          }
        }
      ]
    },
    {
      "name": "redis-pulse-news",
      "rules": [
        {
          "alert": "RedisRestarted",
          "expr": "resets(redis_uptime_in_seconds[15m]) > 0 unless on (job, instance, target) count by (job, instance, target) (count by (job, instance, target, address) (last_over_time(redis_target_info[15m]))) > 1",
          "labels": {
            "severity": "info"
          },
          "annotations": {
            "summary": "Redis server {{ $labels.target }} has restarted",
            "description": "{{ $labels.target }} was started again within the last 15 minutes. Was that intended?",
            "runbook_url": "https://github.com/redis-pulse/redis-pulse/blob/main/docs/runbooks/RedisRestarted.md"
          }
        },
        {
          "alert": "RedisRoleChanged",
          "expr": "changes(redis_role{role=\"master\"}[15m]) > 0",
          "labels": {
            "severity": "info"
          },
          "annotations": {
            "summary": "Redis server {{ $labels.target }} has changed its role",
            "description": "{{ $labels.target }} became a master or a replica within the last 15 minutes. The cause is a failover or an operator.",
            "runbook_url": "https://github.com/redis-pulse/redis-pulse/blob/main/docs/runbooks/RedisRoleChanged.md"
          }
        }
      ]
    },
    {
      "name": "redis-pulse-topology",
      "rules": [
        {
          "alert": "RedisClusterDown",
          "expr": "redis_cluster_state == 0",
          "for": "2m",
          "labels": {
            "severity": "critical"
          },
          "annotations": {
            "summary": "The cluster is down, reported by its node {{ $labels.target }}",
            "description": "{{ $labels.target }} answers CLUSTERDOWN. Slots have no node (cluster-require-full-coverage), or it reaches only a minority of the masters.",
            "runbook_url": "https://github.com/redis-pulse/redis-pulse/blob/main/docs/runbooks/RedisClusterDown.md"
          }
        },
        {
          "alert": "RedisClusterSlotsFailing",
          "expr": "sum by (job, instance, target) (\n    redis_cluster_slots_fail + redis_cluster_slots_pfail\n  + (16384 - redis_cluster_slots_assigned)\n) > 0\nand redis_cluster_known_nodes > 1",
          "for": "5m",
          "labels": {
            "severity": "warning"
          },
          "annotations": {
            "summary": "{{ $value }} slots of the cluster have no healthy node, reported by its node {{ $labels.target }}",
            "description": "Keys of these slots cannot be read or written until a replica is promoted or the slots are moved.",
            "runbook_url": "https://github.com/redis-pulse/redis-pulse/blob/main/docs/runbooks/RedisClusterSlotsFailing.md"
          }
        },
        {
          "alert": "RedisSlotMigrationStuck",
          "expr": "redis_slot_migration_age_seconds > 1800\nunless on (job, instance, target) increase(redis_net_cluster_slot_export_bytes_total[10m]) > 0\nunless on (job, instance, target) increase(redis_net_cluster_slot_import_bytes_total[10m]) > 0",
          "for": "5m",
          "labels": {
            "severity": "warning"
          },
          "annotations": {
            "summary": "The {{ $labels.operation }} of slots of {{ $labels.target }} is stuck",
            "description": "A migration that began {{ $value | humanizeDuration }} ago does not end. Its slots stay where they were, and further migrations of them are refused.",
            "runbook_url": "https://github.com/redis-pulse/redis-pulse/blob/main/docs/runbooks/RedisSlotMigrationStuck.md"
          }
        },
        {
          "alert": "RedisClusterNodesFailing",
          "expr": "sum by (job, instance, cluster) (redis_cluster_topology_nodes{state=~\"fail|noaddr\"}) > 0",
          "for": "5m",
          "labels": {
            "severity": "warning"
          },
          "annotations": {
            "summary": "{{ $value }} nodes of the cluster {{ $labels.cluster }} have failed",
            "description": "Most nodes of {{ $labels.cluster }} agree. If the failed nodes are removed for good, the cluster should forget them.",
            "runbook_url": "https://github.com/redis-pulse/redis-pulse/blob/main/docs/runbooks/RedisClusterNodesFailing.md"
          }
        },
        {
          "alert": "RedisClusterShardWithoutReplica",
          "expr": "redis_cluster_topology_shard_replicas == 0\nand on (job, instance, cluster)\nmax by (job, instance, cluster) (redis_cluster_topology_shard_replicas) > 0",
          "for": "15m",
          "labels": {
            "severity": "warning"
          },
          "annotations": {
            "summary": "A shard of the cluster {{ $labels.cluster }} has no replica",
            "description": "If the master of the shard that begins with slot {{ $labels.shard }} fails, no node of {{ $labels.cluster }} can take over. Then its keys cannot be reached.",
            "runbook_url": "https://github.com/redis-pulse/redis-pulse/blob/main/docs/runbooks/RedisClusterShardWithoutReplica.md"
          }
        },
        {
          "alert": "RedisClusterNodesDisagree",
          "expr": "redis_cluster_topology_disagreeing_nodes > 0",
          "for": "5m",
          "labels": {
            "severity": "warning"
          },
          "annotations": {
            "summary": "{{ $value }} nodes of the cluster {{ $labels.cluster }} disagree with most nodes",
            "description": "Clients of {{ $labels.cluster }} are redirected again and again (MOVED), or to nodes that no longer exist.",
            "runbook_url": "https://github.com/redis-pulse/redis-pulse/blob/main/docs/runbooks/RedisClusterNodesDisagree.md"
          }
        },
        {
          "alert": "RedisSentinelQuorumLost",
          "expr": "min by (job, instance, target, master_name) (redis_sentinel_master_ckquorum_status) == 0\nor\nlabel_replace(label_replace(redis_sentinel_quorum_ok, \"target\", \"$1\", \"sentinel\", \"(.*)\"), \"master_name\", \"$1\", \"master\", \"(.*)\") == 0",
          "for": "1m",
          "labels": {
            "severity": "critical"
          },
          "annotations": {
            "summary": "Sentinel {{ $labels.target }} has no quorum for {{ $labels.master_name }}",
            "description": "If the master {{ $labels.master_name }} failed now, no failover would happen: too few Sentinels reach each other.",
            "runbook_url": "https://github.com/redis-pulse/redis-pulse/blob/main/docs/runbooks/RedisSentinelQuorumLost.md"
          }
        },
        {
          "alert": "RedisSentinelMasterObjectivelyDown",
          "expr": "max by (job, instance, target, master_name) (redis_sentinel_master_status{master_status=\"odown\"}) == 1",
          "for": "1m",
          "labels": {
            "severity": "critical"
          },
          "annotations": {
            "summary": "The master {{ $labels.master_name }} is down, and no failover has replaced it",
            "description": "The Sentinels agreed a minute ago that {{ $labels.master_name }} is down, reported by {{ $labels.target }}. A failover takes seconds. So there is no replica to promote, or no majority to authorise it.",
            "runbook_url": "https://github.com/redis-pulse/redis-pulse/blob/main/docs/runbooks/RedisSentinelMasterObjectivelyDown.md"
          }
        },
        {
          "alert": "RedisSentinelFailoverHappened",
          "expr": "changes(redis_sentinel_failover_epoch[15m]) > 0 or label_replace(label_replace(increase(redis_sentinel_failovers_total[15m]), \"target\", \"$1\", \"sentinel\", \"(.*)\"), \"master_name\", \"$1\", \"master\", \"(.*)\") > 0",
          "labels": {
            "severity": "info"
          },
          "annotations": {
            "summary": "Sentinel {{ $labels.target }} has seen a failover of {{ $labels.master_name }}",
            "description": "Another server is now the master {{ $labels.master_name }}. Why did the previous master fail, and is it a replica now?",
            "runbook_url": "https://github.com/redis-pulse/redis-pulse/blob/main/docs/runbooks/RedisSentinelFailoverHappened.md"
          }
        },
        {
          "alert": "RedisSentinelsDisagree",
          "expr": "redis_sentinel_disagreeing > 0",
          "for": "5m",
          "labels": {
            "severity": "warning"
          },
          "annotations": {
            "summary": "{{ $value }} Sentinels of {{ $labels.sentinel }} name another master of {{ $labels.master }}",
            "description": "Clients of one of these Sentinels are sent to the wrong server, and may write to it.",
            "runbook_url": "https://github.com/redis-pulse/redis-pulse/blob/main/docs/runbooks/RedisSentinelsDisagree.md"
          }
        }
      ]
    }
  ]
}
