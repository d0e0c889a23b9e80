"""Chaos: a seeded scheduler breaks real servers and disturbs the daemon. A checker examines the daemon from outside.

``make chaos`` runs it. No module here imports ``redis_pulse``. So a fault in its code cannot hide itself.

- ``plan``: which events happen, to what, and when. A pure function of the seed.
- ``events``: what each event does, and how it is undone.
- ``processes``, ``servers``, ``sets``, ``network``, ``certificates``: the servers, Sentinels, cluster and namespace.
- ``daemon``, ``watch``: the process of the daemon, its log, and the thread that scrapes it every second.
- ``world``: all servers and the daemon, with the current state: the targets, their addresses and recent changes.
- ``page``, ``rules``: the parser of the text format, and the rules for a page. Pure functions.
- ``checker``: applies the rules to the world in a quiet period.
- ``run``: the command line, the rounds and the summary.
"""
