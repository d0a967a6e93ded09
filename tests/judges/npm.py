"""A peer of our CMS that shares no code with it: a Node program on npm's libraries, asked line by line.

It is installed by ``tools/judges`` from a lock that names every package by version and digest.
"""

from __future__ import annotations

import atexit
import base64
import json
import select
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
TOOL = HERE.parents[1] / "tools" / "judges"
#: Members of an answer that are octets, wherever they stand.
OCTETS = frozenset({"cms", "content", "certificate", "octets"})

#: Seconds for one answer; the slowest, a key on P-521, takes a third of one.
PATIENCE = 60


class Refused(Exception):
    """The judge's refusal of a message."""


class Judge:
    """The running program; each act is a method by its name with the order's members as keywords."""

    def __init__(self) -> None:
        subprocess.run([str(TOOL)], check=True)
        node = shutil.which("node")
        assert node is not None, "debian-packages.txt lists nodejs"
        self._process = subprocess.Popen(
            [node, str(HERE / "judge.mjs")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
        )

    def ask(self, act: str, **order: Any) -> Any:
        """The answer to one order; raises :class:`Refused` where the judge refuses the message."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"act": act, **order}, default=_text) + "\n")
        ready, _, _ = select.select([self._process.stdout], [], [], PATIENCE)
        assert ready, "the judge does not answer"
        line = self._process.stdout.readline()
        assert line, "the judge has died"
        answer = _octets(json.loads(line))
        assert "broken" not in answer, answer["broken"]
        if "refused" in answer:
            raise Refused(answer["refused"])
        return answer

    def close(self) -> None:
        """End the program."""
        if self._process.poll() is None:
            assert self._process.stdin is not None
            self._process.stdin.close()
            self._process.wait(10)


@cache
def judge() -> Judge:
    """The one judge of a test run."""
    made = Judge()
    atexit.register(made.close)
    return made


def _text(octets: bytes) -> str:
    return base64.b64encode(octets).decode()


def _octets(answer: Any) -> Any:
    """``answer`` with its octets as such."""
    if isinstance(answer, list):
        return [_octets(one) for one in answer]
    if not isinstance(answer, dict):
        return answer
    return {
        name: base64.b64decode(value) if name in OCTETS and isinstance(value, str) else _octets(value)
        for name, value in answer.items()
    }
