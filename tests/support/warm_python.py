"""A program in place of `python`: its process costs a fork, and no second of imports.

It sends what it was started with, its streams too, to the nursery that listens at the
first argument, and ends as the child that the nursery forked for it. It is started as
`python -I -S warm_python.py SOCKET …` and imports no more than that takes.
"""

import json
import os
import resource
import signal
import socket
import sys

STREAMS = (0, 1, 2)
FORKED = ("-c", "-m", "-W")
"""What the first word may be; with another one, it is Python itself."""
LIMITS = (resource.RLIMIT_FSIZE, resource.RLIMIT_NOFILE)


def _is_open(number: int) -> bool:
    try:
        os.fstat(number)
    except OSError:
        return False
    return True


def main(address: str, *words: str) -> int:
    if words[0] not in FORKED:
        os.execv(sys.executable, [sys.executable, *words])
    streams = [number for number in STREAMS if _is_open(number)]
    # None of what is opened here may take the number of a stream that is closed.
    fillers = [os.open(os.devnull, os.O_RDONLY) for _ in range(len(STREAMS))]
    folder = os.open(".", os.O_RDONLY)
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(address)
    request = {
        "words": words,
        "streams": streams,
        "environment": dict(os.environ),
        "limits": [(limit, *resource.getrlimit(limit)) for limit in LIMITS],
    }
    socket.send_fds(connection, [b"+"], [folder, *streams])
    for number in (*fillers, *streams):
        # The other end of a pipe is to see when the child closes it.
        if number in streams or number not in STREAMS:
            os.close(number)
    # Sent on to the child: this process ends as that one does.
    for which in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(which, lambda number, _: connection.sendall(bytes([number])))
    connection.sendall(json.dumps(request).encode() + b"\n")
    code = int(connection.makefile().readline() or -signal.SIGKILL)
    if code >= 0:
        return code
    signal.signal(-code, signal.SIG_DFL) if -code != signal.SIGKILL else None
    os.kill(os.getpid(), -code)
    return 128 - code


if __name__ == "__main__":
    os._exit(main(*sys.argv[1:]))
