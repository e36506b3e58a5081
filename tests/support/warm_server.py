"""The other end of `warm_python`: forks a child for each program that asks.

For each there is a keeper between, which is the child's parent: it hands on signals,
kills the child when the program is killed, and says how the child ended.
"""

from __future__ import annotations

import io
import json
import os
import resource
import runpy
import select
import shlex
import signal
import socket
import sys
import traceback
import warnings
from pathlib import Path
from typing import Any

PROGRAM = Path(__file__).with_name("warm_python.py")


def words_of(address: str) -> list[str]:
    """Return what to begin a command with, in place of `python`."""
    return [sys.executable, "-I", "-S", str(PROGRAM), address]


def listen(address: str) -> None:
    """Begin to answer at a unix socket, in a process of its own, until ours ends.

    What is forked there has a `sys.executable` that is forked there too.
    """
    program = Path(f"{address}.sh")
    program.write_text(f'#!/bin/sh\nexec {shlex.join(words_of(address))} "$@"\n')
    program.chmod(0o755)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(address)
    listener.listen()
    end, ours = os.pipe()  # ours is closed when this process ends, whatever ends it
    os.set_inheritable(ours, False)
    if os.fork():
        os.close(end)
        listener.close()
        return
    os.close(ours)
    sys.executable = str(program)
    try:
        # Keepers end by themselves, and nobody asks how.
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        while True:
            ready, _, _ = select.select([listener.fileno(), end], [], [])
            if end in ready:
                os._exit(0)
            connection, _ = listener.accept()
            if not os.fork():
                listener.close()
                os.close(end)
                break
            connection.close()
    except BaseException:
        traceback.print_exc()
        os._exit(70)
    _keep(connection)


def _keep(connection: socket.socket) -> None:
    """Fork the child and stay until it ends; in the child this ends with SystemExit."""
    woken, wakes = socket.socketpair()
    for end in (woken, wakes):
        end.setblocking(False)
    _, numbers, _, _ = socket.recv_fds(connection, 1, 4)
    folder, *streams = numbers
    request = json.loads(connection.makefile().readline())
    # Before the fork, so that an end at once is not missed.
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(wakes.fileno())
    pid = os.fork()
    if not pid:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        for end in (woken, wakes, connection):
            end.close()
        _become(request, folder, streams)
    for number in numbers:
        os.close(number)
    try:
        _tell_end(pid, connection, woken)
    finally:
        os._exit(0)


def _tell_end(pid: int, connection: socket.socket, woken: socket.socket) -> None:
    while True:
        ready, _, _ = select.select([connection, woken], [], [])
        if woken in ready:
            woken.recv(64)
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            code = os.waitstatus_to_exitcode(status)
            connection.sendall(f"{code}\n".encode())
            return
        if connection in ready:
            asked = connection.recv(1)
            os.kill(pid, asked[0] if asked else signal.SIGKILL)
            if not asked:
                os.waitpid(pid, 0)
                return


def _become(request: dict[str, Any], folder: int, streams: list[int]) -> None:
    """Go on as `python …` in the folder, on the streams, in the environment."""
    for which in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(which, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.fchdir(folder)
    os.close(folder)
    given = dict(zip(request["streams"], streams, strict=True))
    for number in range(3):
        if number in given:
            os.dup2(given[number], number)
            os.close(given[number])
        else:
            os.close(number)
    for limit, soft, hard in request["limits"]:
        resource.setrlimit(limit, (soft, hard))
    os.environ.clear()
    os.environ.update(request["environment"])
    _set_python_up()
    _run(request["words"])


def _set_python_up() -> None:
    """Do what Python does with its environment when it starts."""
    sys.dont_write_bytecode = bool(os.environ.get("PYTHONDONTWRITEBYTECODE"))
    sys.path[:0] = filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        stream = _stream(number)
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)


def _stream(number: int) -> io.TextIOWrapper | None:
    """Return a standard stream as Python opens it."""
    encoding, _, errors = os.environ.get("PYTHONIOENCODING", "").partition(":")
    buffering = -1
    if number and os.environ.get("PYTHONUNBUFFERED"):
        buffering = 0
    mode = "wb" if number else "rb"
    try:
        buffer = open(number, mode, buffering, closefd=False)  # noqa: SIM115
    except OSError:
        return None
    return io.TextIOWrapper(
        buffer,
        encoding=encoding or "utf-8",
        errors="backslashreplace" if number == 2 else errors or "strict",
        line_buffering=bool(buffering) and (number == 2 or buffer.isatty()),
        write_through=not buffering,
    )


def _run(words: list[str]) -> None:
    option, what, *rest = words
    if option == "-W":
        warnings.filterwarnings(what)  # type: ignore[arg-type]  # it says so if wrong
        option, what, *rest = rest
    try:
        here = os.getcwd()
    except FileNotFoundError:
        here = ""
    if option == "-m":
        sys.path[:0] = [here] if here else []
        sys.argv = ["-m", *rest]
        runpy.run_module(what, run_name="__main__", alter_sys=True)
    elif option == "-c":
        sys.path.insert(0, "")
        sys.argv = ["-c", *rest]
        exec(compile(what, "<string>", "exec"), {"__name__": "__main__"})
    else:
        raise NotImplementedError(option)
    raise SystemExit(0)
