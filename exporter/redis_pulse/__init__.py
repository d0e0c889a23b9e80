"""redis-pulse: a Prometheus exporter for Redis and Valkey.

Module layers. A module imports only from lower layers; ``tests/test_architecture.py`` enforces this:

====== ==============================================================================================
layer  modules
====== ==============================================================================================
9      ``__main__``  runs ``cli``
8      ``cli``       the command line
7      ``daemon``    builds everything once, starts, drains, stops, reloads
       ``keyspace_terminal`` what fills a server, in a terminal
6      ``web``       pages over HTTP · ``scheduling`` which job is due when
       ``demo``      embedded servers · ``migrate`` converts the flags of redis_exporter
       ``doctor``    examines targets once, end to end, and says what to do
       ``calibrate`` measures the error of a ping on this machine
5      ``polling``   runs the collectors of one target · ``probe`` pings and the other client-side measurements
       ``discovery`` finds targets · ``exposition`` renders ``/metrics`` · ``stalls`` why a target was slow
       ``status``    the state of a target, since when, and its last hour
       ``keyspace_sampling`` looks at some keys each second, at its own pace
4      ``collectors``  one module or package per source of server metrics · ``client`` talks to one target
       ``sample_store``  latest samples per target and collector · ``telemetry`` the metrics of the daemon itself
3      ``circuit_breaker``  closed, open, half-open · ``commands`` facts about commands
       ``tokens``    logins that expire, and their renewal
       ``parse``     server text to plain values · ``server_info`` what one server is, and how it differs from Redis
       ``keyspace``  what fills a server: patterns and estimates, from few keys
2      ``config``    settings and their sources · ``errors`` one bounded reason each · ``metric`` metric definitions
       ``text_format``  lines of the text format · ``log`` structured logs · ``backoff`` delays between attempts
       ``startup_signals``  signals before the event loop runs
       ``asset_files``  writes dashboards, rules and examples into a folder
       ``line_file``  appends lines to a file, off the event loop
       ``pinger``    the process that only sends pings (``probe.process``)
1      ``blocking``  calls that may hang, in threads with deadlines · ``file_descriptors`` their limit and reserve
       ``masking`` hides secrets in texts · ``advice`` the one table: why a problem matters, and what to do
       ``slices``    long work in short pieces · ``completion`` completion of shells and the man page
       ``shared_work``  one result for all equal requests, one at a time
       ``deflate``   compressed blocks of text, and gzip streams made of them
       ``kernel_timestamps`` when data left and arrived · ``priority`` of the thread that sends pings
       ``terminal``  how commands read arguments and write · ``versions`` of this program and its libraries
====== ==============================================================================================

    config → discovery → scheduling → client ─┬─ polling (collectors) → sample_store ─┬→ exposition → web
                                              └─ probe → telemetry ───────────────────┘

A lower layer never calls a higher one. ``daemon`` passes callbacks down instead.
"""

__version__ = "0.2.0"
