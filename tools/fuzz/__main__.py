"""Fuzz every decoder, guided by coverage: ``python -m tools.fuzz run [--seconds N] [--turn N] [TARGET ...]``.

Each target gets ``--seconds`` of fuzzing in all (an hour unless said), in turns of ``--turn`` seconds, two
targets at a time and at low priority.  Corpora and the time spent are kept under build/fuzz/, so that a run
that was stopped goes on where it was.  A finding stops the run; its input is saved, and the command that
replays it is printed::

    python -m tools.fuzz replay TARGET FILE
    python -m tools.fuzz report
"""

from __future__ import annotations

import argparse
import importlib
import json
import re
import subprocess
import sys
import threading
import warnings
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PLACE = ROOT / "build" / "fuzz"
TABLE = "tests.fuzz.table"
WORKERS = 2
_PRIORITY = "15"
_STATUS = re.compile(r"^#(\d+)\s+(\w+)\s+cov: (\d+) ft: (\d+) corp: (\d+)")
_LAST_LINES = 40


@dataclass
class Progress:
    """What was done for one target so far; ``begun`` and ``coverage`` count edges of the code."""

    seconds: int = 0
    executions: int = 0
    begun: int = 0
    coverage: int = 0
    features: int = 0
    corpus: int = 0

    @classmethod
    def of(cls, folder: Path) -> Progress:
        """As it was saved last."""
        file = folder / "progress.json"
        return cls(**json.loads(file.read_text(encoding="utf-8"))) if file.exists() else cls()

    def save(self, folder: Path) -> None:
        """Keep it for the next run."""
        file = folder / "progress.json"
        fresh = file.with_suffix(".new")
        fresh.write_text(json.dumps(asdict(self)) + "\n", encoding="utf-8")
        fresh.replace(file)


class Run:
    """Turns of fuzzing by two processes at a time, until all time is spent or something is found."""

    def __init__(self, names: Sequence[str], asked: argparse.Namespace) -> None:
        """``asked.go_on`` fuzzes the other targets further when one has a finding."""
        self.names, self.asked = names, asked
        self.found: dict[str, Path] = {}
        self.stopping = threading.Event()
        self._running: dict[str, subprocess.Popen[str]] = {}

    def to_the_end(self) -> int:
        """The exit status: 1 when something was found."""
        try:
            while left := [name for name in self.names if self._due(name)]:
                with ThreadPoolExecutor(WORKERS) as pool:
                    list(pool.map(self._turn, left))
                if self.stopping.is_set():
                    break
        except KeyboardInterrupt:
            self.stop()
            raise
        return 1 if self.found else 0

    def stop(self) -> None:
        """End what runs; what was reached stays."""
        self.stopping.set()
        for process in list(self._running.values()):
            process.terminate()

    def _due(self, name: str) -> bool:
        return name not in self.found and Progress.of(self.asked.place / name).seconds < self.asked.seconds

    def _turn(self, name: str) -> None:
        """One turn of one target."""
        if self.stopping.is_set():
            return
        folder = self.asked.place / name
        folder.mkdir(parents=True, exist_ok=True)
        done = Progress.of(folder)
        seconds = min(self.asked.turn, self.asked.seconds - done.seconds)
        before = set(folder.glob("finding-*"))
        status, last = self._fuzz(name, folder, seconds, done)
        if self.stopping.is_set():
            return
        fresh = sorted(set(folder.glob("finding-*")) - before)
        if status or fresh:
            self.found[name] = fresh[0] if fresh else folder
            again = replay_command(self.asked.table, name, self.found[name])
            say("\n".join((*last, f"== {name}: a finding, which this tries again:", again)))
            if not self.asked.go_on:
                self.stop()
            return
        done.seconds += seconds
        done.save(folder)
        say(line(name, done))

    def _fuzz(self, name: str, folder: Path, seconds: int, done: Progress) -> tuple[int, list[str]]:
        """Run the child; its exit status and last lines.  ``done`` learns what it reached."""
        child = (
            "nice",
            "-n",
            _PRIORITY,
            sys.executable,
            "-m",
            "tools.fuzz.child",
            self.asked.table,
            name,
            str(folder),
        )
        command = [*child, f"-max_total_time={seconds}"]
        last: list[str] = []
        with subprocess.Popen(
            command,
            cwd=ROOT,
            text=True,
            errors="replace",
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        ) as process:
            self._running[name] = process
            executed = 0
            for said in process.stdout or ():
                last = [*last[1 - _LAST_LINES :], said.rstrip()]
                if status := _STATUS.match(said):
                    count, what, coverage, features, corpus = status.groups()
                    executed = int(count)
                    done.coverage = max(done.coverage, int(coverage))
                    done.features, done.corpus = int(features), int(corpus)
                    if what == "INITED" and not done.begun:
                        done.begun = int(coverage)
            done.executions += executed
            code = process.wait()
        del self._running[name]
        return code, last


def line(name: str, done: Progress) -> str:
    """What was reached, in one line."""
    return (
        f"{name:<24} {done.seconds:>6} s {done.executions:>11} inputs   edges {done.begun:>5} -> "
        f"{done.coverage:<5} corpus {done.corpus}"
    )


def replay_command(table: str, name: str, file: Path) -> str:
    """The command that tries one input again."""
    named = "" if table == TABLE else f"--table {table} "
    return f"{sys.executable} -m tools.fuzz {named}replay {name} {file}"


def replay(table: str, name: str, file: Path) -> int:
    """Try one input without any tracer; a finding shows its traceback."""
    warnings.simplefilter("ignore")
    rule = importlib.import_module(table).TARGETS[name].tried(file.read_bytes())
    say(f"{name}: refused by {rule}" if rule else f"{name}: a value")
    return 0


def say(text: str) -> None:
    """A line for whoever waits."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def _names(table: str) -> list[str]:
    """The targets, asked in a process of its own: this one only waits."""
    code = f"from {table} import TARGETS; print(*TARGETS)"
    command = [sys.executable, "-c", code]
    return subprocess.run(command, cwd=ROOT, check=True, text=True, capture_output=True).stdout.split()


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tools.fuzz", description="Fuzz every decoder.")
    parser.add_argument("--table", default=TABLE, help="the module that has the targets")
    parser.add_argument("--place", type=Path, default=PLACE, help="where corpora and progress are kept")
    commands = parser.add_subparsers(dest="command", required=True)
    run = commands.add_parser("run", help="fuzz all targets, or those named")
    run.add_argument("--seconds", type=int, default=3600, help="for each target, in all")
    run.add_argument("--turn", type=int, default=300, help="seconds of one turn")
    run.add_argument("--go-on", action="store_true", help="fuzz the others further after a finding")
    run.add_argument("targets", nargs="*")
    again = commands.add_parser("replay", help="try one saved input")
    again.add_argument("target")
    again.add_argument("file", type=Path)
    commands.add_parser("report", help="what was reached so far")
    return parser


def main(arguments: Sequence[str]) -> int:
    """The exit status: 0, 1 for a finding, 2 for a wrong call."""
    asked = _arguments().parse_args(arguments)
    if asked.command == "replay":
        return replay(asked.table, asked.target, asked.file)
    names = _names(asked.table)
    if asked.command == "report":
        for name in names:
            say(line(name, Progress.of(asked.place / name)))
        return 0
    unknown = sorted(set(asked.targets) - set(names))
    if unknown:
        sys.stderr.write(f"no such target: {' '.join(unknown)}; there are: {' '.join(names)}\n")
        return 2
    return Run(asked.targets or names, asked).to_the_end()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
