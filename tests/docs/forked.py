"""``e2s`` for the transcripts, without a new interpreter for each command: a process that has imported it forks.

What runs is the program's own ``main``, in a process of its own, with the folder, environment, umask, streams
and signals of who called it; only the start of Python and the imports are shared.  ``python forked.py SOCKET``
serves until its input ends; ``program(folder)`` gives a folder with an ``e2s`` to put on the path.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

#: What is on the path as ``e2s``; ``-I -S``: it needs nothing but the standard library.
_CALL = """#!{python} -IS
import array, json, os, signal, socket, sys
with socket.socket(socket.AF_UNIX) as held:
    held.connect({path!r})
    mask = os.umask(0)
    os.umask(mask)
    asked = dict(arguments=sys.argv[1:], folder=os.getcwd(), environment=dict(os.environ), umask=mask)
    streams = array.array("i", [0, 1, 2])
    held.sendmsg([json.dumps(asked).encode() + b"\\n"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, streams)])
    told = held.makefile("r")
    child = int(told.readline())
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda given, _frame: os.kill(child, given))
    status = int(told.readline())
if status < 0:
    signal.signal(-status, signal.SIG_DFL)
    os.kill(os.getpid(), -status)
sys.exit(status)
"""


@contextlib.contextmanager
def program(folder: Path) -> Iterator[Path]:
    """A folder whose ``e2s`` runs in forks of one process, which ends with the block."""
    path = folder / "socket"
    serving = subprocess.Popen(
        [sys.executable, __file__, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with serving:
        assert serving.stdout is not None
        assert serving.stdout.readline() == "ready\n"
        called = folder / "e2s"
        called.write_text(_CALL.format(python=sys.executable, path=str(path)))
        called.chmod(0o755)
        yield folder
        serving.communicate()


def _serve(path: str) -> None:
    from e2s.cli.main import COMMANDS

    for module in sorted({row[0] for row in COMMANDS.values()}):
        importlib.import_module(module)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(path)
    listening.listen(16)
    gc.collect()
    gc.freeze()
    print("ready", flush=True)
    if os.fork() == 0:
        os.close(0)
        while True:
            held, _ = listening.accept()
            if os.fork() == 0:
                listening.close()
                _carry_out(held)
            held.close()
    sys.stdin.read()
    os.killpg(os.getpgid(0), signal.SIGTERM)


def _carry_out(held: socket.socket) -> NoReturn:
    """In a process of its own: run the command in another, and tell its number and its status."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    octets, streams, _, _ = socket.recv_fds(held, 1024 * 1024, 3)
    while not octets.endswith(b"\n"):
        octets += held.recv(1024 * 1024)
    asked = json.loads(octets)
    child = os.fork()
    if child == 0:
        held.close()
        _become(asked, streams)
    for stream in streams:
        os.close(stream)
    held.sendall(b"%d\n" % child)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    with contextlib.suppress(OSError):
        held.sendall(b"%d\n" % status)
    os._exit(0)


def _become(asked: dict[str, object], streams: list[int]) -> NoReturn:
    os.setpgid(0, 0)
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        if stream > 2:
            os.close(stream)
    os.chdir(str(asked["folder"]))
    os.umask(int(str(asked["umask"])))
    os.environ.clear()
    os.environ.update(asked["environment"])  # type: ignore[call-overload]
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        named = open(number, "r" if number == 0 else "w", encoding="utf-8", closefd=False)  # noqa: SIM115
        setattr(sys, name, named)
    from e2s.cli.main import main

    status: object = 1
    try:
        main(asked["arguments"])  # type: ignore[arg-type]
        status = 0
    except SystemExit as ended:
        status = ended.code if ended.code is not None else 0
    except BaseException:  # noqa: BLE001
        import traceback

        traceback.print_exc()
    with contextlib.suppress(OSError):
        sys.stdout.flush()
    with contextlib.suppress(OSError):
        sys.stderr.flush()
    os._exit(status if isinstance(status, int) else 1)


if __name__ == "__main__":
    os.setpgid(0, 0)
    _serve(sys.argv[1])
