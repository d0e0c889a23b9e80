"""Measure how long ``/-/healthy`` of two daemons takes, until the input ends. A process of its own.

    python -m attack.meter PORT:PID:CA_FILE CONTROL_PORT:PID:CA_FILE

First it writes ``ready``. At the end it writes one line of JSON. It has for each port a list of
``[began, seconds, delay, ran]``, with monotonic times.
During ``delay`` seconds a thread of the daemon, or this process, was ready to run, but others ran.
During ``ran`` seconds a thread of the daemon ran. Both are the longest time of one thread. Their
sum would count a time twice in which two waited for a core.
If the name of the CA file is not empty, the ports have TLS. Each request is a new connection, and so a new handshake.
"""

import contextlib
import http.client
import json
import os
import ssl
import sys
import threading
import time

from attack.machine import longest_delay, own_delays, run_delays, run_times

#: Seconds between two requests.
INTERVAL = 0.05
#: A response that takes longer counts as this long.
TIMEOUT = 30.0


def connect(port: int, context: ssl.SSLContext | None) -> http.client.HTTPConnection:
    """Return a connection to the port. It is opened by its first request."""
    if context is None:
        return http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT)
    return http.client.HTTPSConnection("127.0.0.1", port, timeout=TIMEOUT, context=context)


def measure(port: int, pid: int, ca_file: str, ended: threading.Event, waits: list[tuple[float, ...]]) -> None:
    """Send a request on a new connection in each interval."""
    context = ssl.create_default_context(cafile=ca_file) if ca_file else None
    while not ended.wait(INTERVAL):
        before, ran_before = run_delays(str(pid)) | own_delays(), run_times(str(pid))
        began = time.monotonic()
        connection = connect(port, context)
        seconds = 0.0
        with contextlib.suppress(OSError, http.client.HTTPException):
            connection.request("GET", "/-/healthy")
            connection.getresponse().read()
            seconds = time.monotonic() - began
        connection.close()
        delay = longest_delay(before, run_delays(str(pid)) | own_delays())
        ran = longest_delay(ran_before, run_times(str(pid)))
        waits.append((began, seconds or max(TIMEOUT, time.monotonic() - began), delay, ran))


def main() -> None:
    """Measure until the input ends."""
    with contextlib.suppress(PermissionError):
        os.nice(-10)  # then it hardly waits for a core, and its waits are those of the daemon
    ended = threading.Event()
    results: list[list[tuple[float, ...]]] = []
    threads = []
    for argument in sys.argv[1:]:
        port, pid, ca_file = argument.split(":", 2)
        waits: list[tuple[float, ...]] = []
        results.append(waits)
        threads.append(threading.Thread(target=measure, args=(int(port), int(pid), ca_file, ended, waits), daemon=True))
        threads[-1].start()
    print("ready", flush=True)
    sys.stdin.read()
    ended.set()
    deadline = time.monotonic() + 2
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    print(json.dumps(results), flush=True)


if __name__ == "__main__":
    main()
