"""The example community as about twenty processes, each with its own disk, its own clock, and links that fail.

One thread starts, watches and kills them all; whatever it started dies with it.
"""

from __future__ import annotations

import http.client
import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import msgspec

from e2s.base.errors import E2SError
from e2s.base.http import Request
from e2s.client.wallet.home import Edges, ManagerHome, open_manager
from e2s.commerce.purchasing.demo_data import SOURCE
from e2s.community import founding
from e2s.community.content import load_catalogue
from e2s.community.demo import new_community
from e2s.community.example import free_ports
from e2s.community.making import Tools
from e2s.community.running import place_of
from e2s.network.sessions.client import HttpExchange
from e2s.security.keys.phrase import Phrase, phrase_from_file
from tests.fire import disks
from tests.fire.buyer import pause
from tests.fire.clocks import Clocks, forget
from tests.fire.plan import Batch
from tests.worlds.whole import CHEAP, CSV

_HOST: Final = "127.0.0.1"
_ROOT: Final = Path(__file__).parents[2]
#: So long may all components take to answer once nothing is wrong any more: who takes longer needs hands.
HEALING_SECONDS: Final = 120.0
_AGE_SECONDS: Final = 3600
#: What the issuer lets each card pay at once; a dearer basket is declined.
LIMIT: Final = "100.00"
ORGANISATIONS: Final = ("alpha", "beta")
BUYERS: Final = tuple(f"{name}-wallet" for name in ORGANISATIONS)


class NeedsHands(AssertionError):
    """A component does not come back by itself."""


class Market:
    """The community; components are named as in its file."""

    def __init__(self, folder: Path) -> None:
        """Found it in ``folder`` (empty, in a mount namespace of this process's own) and start everything."""
        self.community, self.home = new_community(folder / "community")
        self.clocks = Clocks(folder / "clocks")
        tools = Tools(clock=self.clocks, random=secrets.token_bytes, cost=CHEAP)
        founding.found(self.community, self.home, tools, lambda _line: None)
        self.names = [c.name for c in self.community.components.values() if not c.person]
        ports = free_ports(len(self.names) + 1)
        self._ports = dict(zip(self.names, ports, strict=False))
        self._control = ports[-1]
        for name in (*self.names, *BUYERS):
            disks.mount(self.path(name))
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.ended: Counter[str] = Counter()
        self._exchange = HttpExchange(anchors=self.home.root.read_bytes(), timeout_seconds=10)
        # A clock that is set back must not stand before the founding.
        self.clocks.pass_time(_AGE_SECONDS)
        self._start_links(folder / "links.json")
        for name in self.names:
            self._write_file(name)
            self.start(name)
        self.heal()
        place = place_of(
            self.community, self.home, "volt-catalogue", clock=self.clocks, random=secrets.token_bytes
        )
        load_catalogue(place, CSV, currency="EUR", source=SOURCE)
        self.managers = {name: self._manager(f"{name}-manager") for name in ORGANISATIONS}
        for name in ORGANISATIONS:
            self._permit(name)

    # ------------------------------------------------------------------ where things are
    def path(self, name: str) -> Path:
        """The home of a component or a person."""
        return self.home.component(self.community.component(name)).path

    def phrase(self, name: str) -> Phrase:
        """The pass phrase in a home."""
        return phrase_from_file(self.path(name) / "pse.phrase")

    def _file(self, name: str) -> Path:
        return self.home.path / f"{name}.toml"

    def _write_file(self, name: str) -> None:
        """The community file in which this component alone listens elsewhere."""
        public = f'listen = "{_HOST}:{self.community.component(name).listen.port}"'
        text = self.home.file.read_text()
        self._file(name).write_text(text.replace(public, f'listen = "{_HOST}:{self._ports[name]}"'))

    # ------------------------------------------------------------------ processes
    def _spawn(self, name: str, *command: str, env: Mapping[str, str], log: Path) -> None:
        """Start a process that dies with this one; its log may be on a disk that is full."""
        told = [f"{key}={value}" for key, value in env.items()]
        mine = ["setpriv", "--pdeathsig", "KILL", "env", *told, sys.executable, "-m", *command]
        descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            self.processes[name] = subprocess.Popen(
                mine,
                cwd=_ROOT,
                stdin=subprocess.DEVNULL,
                stdout=descriptor,
                stderr=descriptor,
                start_new_session=True,
            )
        finally:
            os.close(descriptor)

    def _start_links(self, file: Path) -> None:
        ends = []
        for name in self.names:
            component = self.community.component(name)
            end = {"name": name, "public": component.listen.port, "private": self._ports[name]}
            if component.tls:
                home = self.home.component(component)
                end |= {"certificate": str(home.tls_certificate), "key": str(home.tls_key)}
            ends.append(end)
        file.write_text(json.dumps({"control": self._control, "ends": ends}))
        log = file.with_suffix(".log")
        self._spawn("links", "tests.fire.links", str(file), env={}, log=log)
        self._until("links", lambda: b"ready" in log.read_bytes())

    def start(self, name: str) -> None:
        """Start a component; whether it gets anywhere is for :meth:`watch` to see."""
        try:
            self._spawn(
                name,
                "e2s.cli.main",
                "component",
                str(self._file(name)),
                name,
                env=self.clocks.environment(name),
                log=self.path(name) / "log",
            )
        except OSError:  # not even a log can be made on a full disk
            self.ended[f"{name}: not started"] += 1

    def buy(self, buyer: str, want: int, seed: str) -> None:
        """Start the buyer's process, until her book has ``want`` trades and all have ended."""
        self._spawn(
            buyer,
            "tests.fire.buyer",
            str(self.path(buyer)),
            str(want),
            seed,
            env=self.clocks.environment(buyer),
            log=self.path(buyer) / "log",
        )

    def kill(self, name: str) -> bool:
        """``kill -9``; whether there was a process."""
        process = self.processes.get(name)
        if process is None or process.poll() is not None:
            return False
        process.send_signal(signal.SIGKILL)
        return True

    def watch(self) -> None:
        """Start again every component that has died."""
        for name in self.names:
            process = self.processes.get(name)
            if process is not None and process.poll() is None:
                continue
            if process is not None:
                forget(process.pid)
                if process.returncode != -signal.SIGKILL:
                    self.ended[f"{name}: status {process.returncode}"] += 1
            self.start(name)
        if self.processes["links"].poll() is not None:
            raise NeedsHands("the test's own links have ended")

    def buying(self, buyer: str) -> bool:
        """Whether the buyer's process still has something to do, or must be started again."""
        process = self.processes[buyer]
        status = process.poll()
        if status is not None:
            forget(process.pid)
        return status != 0

    def ready(self, name: str) -> bool:
        """Whether the component answers."""
        process = self.processes.get(name)
        if process is None or process.poll() is not None:
            return False
        scheme = "https" if self.community.component(name).tls else "http"
        try:
            response = self._exchange.send(
                f"{scheme}://{_HOST}:{self._ports[name]}", Request("GET", "/health")
            )
            return bool(msgspec.json.decode(response.body)["pid"] == process.pid)
        except (E2SError, msgspec.MsgspecError, KeyError):
            return False

    def heal(self) -> None:
        """Nothing is wrong any more; every component comes back by itself, or :class:`NeedsHands`."""
        self.plan(None)
        for name in (*self.names, *BUYERS):
            disks.free(self.path(name))
            self.clocks.put(name, 0)
        self._until("healing", self._all_ready)

    def _all_ready(self) -> bool:
        self.watch()
        return all(self.ready(name) for name in self.names)

    def _until(self, what: str, done: Callable[[], bool]) -> None:
        begun = time.monotonic()
        while not done():
            if time.monotonic() - begun > HEALING_SECONDS:
                absent = [name for name in self.names if not self.ready(name)]
                raise NeedsHands(f"{what}: {absent} do not answer: {[self.last_lines(n) for n in absent]}")
            pause(0.1)

    def last_lines(self, name: str) -> list[str]:
        """The end of a component's log."""
        return (self.path(name) / "log").read_text(errors="replace").splitlines()[-6:]

    # ------------------------------------------------------------------ what the campaign does to it
    def plan(self, batch: Batch | None, rate: float = 0.0) -> Counter[str]:
        """Tell the links what is to go wrong from now on; the value counts all that went wrong so far."""
        order = {"seed": batch.seed, "number": batch.number, "rate": rate} if batch else {"rate": 0}
        connection = http.client.HTTPConnection(_HOST, self._control, timeout=10)
        try:
            connection.request("PUT", "/plan", json.dumps(order))
            return Counter(json.loads(connection.getresponse().read()))
        finally:
            connection.close()

    # ------------------------------------------------------------------ managers
    def _manager(self, name: str) -> ManagerHome:
        edges = Edges(clock=self.clocks, random=secrets.token_bytes, pause=pause)
        return open_manager(self.path(name), self.phrase(name), edges)

    def _permit(self, organisation: str) -> None:
        home = self.managers[organisation]
        holders: list[dict[str, Any]] = [
            {
                "holder": one.certificate,
                "perPurchase": LIMIT,
                "perPeriod": "1000000.00",
                "periodDays": 30,
                "classes": ["*"],
                "merchants": ["*"],
            }
            for one in home.holders
        ]
        home.desk.set_controls(holders, self.phrase(f"{organisation}-manager"))

    def stop(self) -> None:
        """Kill every process; the books stay as they are."""
        for process in self.processes.values():
            process.kill()
            process.wait()
            forget(process.pid)

    def close(self) -> None:
        """End everything that was started here."""
        for home in getattr(self, "managers", {}).values():
            home.desk.close()
        self.stop()
        self._exchange.close()
        for name in (*self.names, *BUYERS):
            disks.unmount(self.path(name))


@contextmanager
def market(folder: Path) -> Iterator[Market]:
    """The community within a ``with`` block; what there was when it failed is kept in ``folder``/kept."""
    made = Market(folder)
    try:
        yield made
    except Exception:
        made.stop()
        shutil.copytree(made.home.path, folder / "kept", dirs_exist_ok=True)
        raise
    finally:
        made.close()
