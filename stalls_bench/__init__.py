"""Make stalls of every kind on real servers, and compare the causes that the daemon names with what was done.

``make stalls`` runs it. The daemon is a separate process. Its records are read from ``/stalls``.

- ``plan``: which kinds of stalls happen, in which order, after which delay. A pure function of the seed.
- ``kinds``: the table of kinds, with the expected cause and the changed setting of each.
- ``injectors``: what each kind does to a server.
- ``server``, ``slow_calls``: the servers, and the library that makes their fsync and fork slow.
- ``cable``: a server in a network namespace, behind a cable that can be slow, lossy or cut.
- ``load``: the live workload, and the flood of cheap commands.
- ``daemon``: the process of the daemon, its records and the times of its pings.
- ``processes``: child processes, their priority, ports.
- ``lane``: one server and its load, on which one stall after the other is made.
- ``own``: stops the daemon itself.
- ``judge``: the confusion matrix and the verdict. Pure functions.
- ``results``: stored results, which can be judged again by other rules.
- ``document``: writes the tables into docs/.
- ``run``: the command line.
"""
