"""Simulate: the whole daemon on a virtual clock and a simulated network. A seed replays to the same log.

``make simulate`` runs it. The daemon's code runs unchanged, from the socket upwards. One process simulates one daemon.
The simulator replaces parts of the standard library before it imports ``redis_pulse``, so no code gets a real clock.

- ``clock``, ``loop``: virtual time, and an event loop that jumps to the next timer when nothing is ready.
- ``standard_library``: replaces clocks, random numbers, sockets, threads and limits of the standard library.
- ``network``, ``sockets``, ``transport``: hosts, connections with latency, and their faults.
- ``replies``, ``server``, ``sentinels``, ``cluster``: simulated servers with recorded replies.
- ``inventory``: names of hosts, and lists of targets over HTTP.
- ``scraper``: clients of the daemon's pages: fast, slow, idle.
- ``faults``: the table of all kinds. ``fault``, ``server_faults``, ``source_faults``: one function for each kind.
- ``world``: the fleet, its configuration, and what must be true of the page now.
- ``checks``: applies the rules of ``chaos`` and further ones in quiet periods. ``breakers``, ``alerts``: further rules.
- ``episode``: runs one seed. ``run``: the command line, which runs many seeds in parallel processes.
"""
