"""Chaos: a seeded scheduler breaks real servers and disturbs the daemon; a checker judges the daemon from outside.

``make chaos`` runs it. Nothing here imports ``exporter``: what is verified and what verifies share no code.

- ``plan``: which events happen, to what, when. A pure function of the seed.
- ``events``: what each event does, and how it is undone.
- ``processes``, ``servers``, ``sets``, ``network``, ``certificates``: the servers, Sentinels, cluster and namespace.
- ``daemon``, ``watch``: the daemon as a process, its log, and the thread that reads its page every second.
- ``world``: all of it together, and what is true of it now: which targets there are, where, and in which state.
- ``page``, ``rules``: the reader of the text format, and the rules that a page must keep. Pure functions.
- ``checker``: looks at the world in a quiet period and applies the rules.
- ``run``: the command line, rounds and the summary.
"""
