"""redis-pulse: a Prometheus exporter for Redis and Valkey.

The map of the house; imports only go down (``tests/test_house.py`` sees to it):

====== ==============================================================================================
floor  rooms
====== ==============================================================================================
6      ``__main__``  the command line
5      ``app``       wiring: builds everything once, starts, drains, stops, reloads
4      ``web``       routes and pages · ``schedule`` who is due when · ``demo`` embedded servers to look at
       ``migrate``   coming over from redis_exporter: its flags in, our configuration out
3      ``sampler``   one target and its due collectors → store · ``prober`` timed PINGs, open loop
       ``discovery``  where targets come from: one file a kind of source
       ``canary``    a write and a read of one key · ``cold`` connecting anew, as clients without a pool do
       ``exposition``  store → families, one family a metric for all targets
2      ``collectors``  info (THE TABLE) and one file per further source · ``client`` a session with one target
       ``store``     latest samples per (target, collector) · ``instruments`` what we count of ourselves
1      ``breaker``   closed, open, half-open · ``slots`` what became of every scheduled ping
       ``heartbeat`` how far a replica is behind, end to end
       ``shards``    who owns which target, of several daemons
       ``targets``   Target, Server · ``parse`` server text → plain dicts
0      ``config``    settings, sources, redaction · ``errors`` one bounded reason each · ``metric`` the row
       ``lines``     how one line of a page is spelled · ``log`` one event, one line
       ``versions``  what ``--version`` says · ``early`` signals while we start
-1     ``blocking``  files, names, all that may hang: in threads of our own, with deadlines
       ``descriptors``  how many there are, and which are kept for pages
====== ==============================================================================================

    config → targets (+ discovery) → client (breaker) → collectors → sampler → store → exposition → web
                                          └─ prober ───→ instruments ──────────────┘

Nothing calls back up: what must be told upward is a hook that ``app`` hands down.
"""

__version__ = "0.1.0"
