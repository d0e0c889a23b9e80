"""Attack the installed daemon, one hostile thing at a time, and measure the cost from outside.

    make attack                              # every row, about 15 minutes
    make attack ONLY=H1,M2 TARGETS=20        # some rows, with fewer good targets

- ``run``: the command; it prints a table and exits 1 if a row fails
- ``rows``: the attacks, one function each; ``catalog`` lists them
- ``world``: the daemon, its good targets, a control daemon, and the helpers of the rows
- ``rules``: what must hold; pure functions
- ``meter``: a process that measures how long ``/-/healthy`` takes
- ``machine``: how busy the machine is
- ``hostile``: a process that is a hostile server
- ``clients``: a process with hostile clients of the port
- ``inventory``: a hostile inventory
- ``wheel``: builds and installs the wheel

The daemon is only used through its files, its port, its signals and its log. ``attack`` never imports ``redis_pulse``.
"""
