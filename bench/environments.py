"""What a delivery costs key management beside what it certifies: asked, sealed, signed, received, on record.

Both sides certify two new keys by one new invitation, durable in the same registers; the holder's own work is
not timed.
"""

from __future__ import annotations

import secrets
import statistics
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from bench.figure import Figure
from e2s.base.http import Request
from e2s.security.certificates.certify import request
from e2s.security.enrolment.asking import Asked, Invited, Issued
from e2s.security.environments.holding import Edges, Invitation
from e2s.security.environments.kinds import shipped
from e2s.security.environments.receiving import begin, finish
from e2s.security.environments.service import door
from e2s.security.keys.container import Cost
from e2s.security.keys.generation import generate
from e2s.security.keys.phrase import Phrase
from tests.worlds.enrolment import ANNA, World

EACH, ROUNDS = 40, 7
_ORIGIN, _WORD = "http://enrol", "a word"
_KINDS = ("person", "person-agreement")


def rounds() -> Iterator[Figure]:
    """The time of a delivery beside that of the plain act."""
    with TemporaryDirectory() as folder:
        world = World(Path(folder))
        handler: Any = door(world.desk, replace(world.setting(), origin=_ORIGIN, crls=world.lists.crls))
        edges = Edges(clock=world.clock, random=secrets.token_bytes, cost=Cost(memory_kib=8, passes=1))
        pairs = []
        for number in range(ROUNDS):
            plain = _plain(world)
            pairs.append((_delivered(world, handler, edges, Path(folder) / f"{number}"), plain))
        yield Figure(
            name="environments.delivery",
            value=statistics.median(full / plain for full, plain in pairs),
            limit=3.0,
            detail={
                "delivery-ms": round(1000 * statistics.median(full for full, _ in pairs) / EACH, 2),
                "plain-ms": round(1000 * statistics.median(plain for _, plain in pairs) / EACH, 2),
            },
        )
        handler.close()
        world.close()


def _plain(world: World) -> float:
    """The desk certifies two keys for each invitation."""
    wanted = []
    for _ in range(EACH):
        reference, _secret = world.invite("person")
        for profile in _KINDS:
            key = generate("p256-sha256", secrets.token_bytes)
            wanted.append((reference, profile, request(key, (ANNA,))))
    begun = time.perf_counter()
    for reference, profile, octets in wanted:
        asked = Asked(
            door="plain",
            transaction=secrets.token_bytes(16),
            request=octets,
            shown=Invited(reference=reference),
            profile=profile,
        )
        if not isinstance(world.desk.ask(asked), Issued):
            raise TypeError
    return time.perf_counter() - begun


def _delivered(world: World, handler, edges: Edges, folder: Path) -> float:
    """Key management's share of as many deliveries: the answer to the ask, and the receipt."""
    folder.mkdir()
    waiting = []
    for number in range(EACH):
        reference, secret = world.invite("person")
        told = Invitation(reference=reference, secret=secret, root=world.pki.root.digest.hex())
        path = folder / f"{number}.pse"
        made = begin(path, Phrase(_WORD), told, shipped()["person"], (ANNA,), _ORIGIN, edges)
        waiting.append((path, made.ask))
    spent, answers = 0.0, []
    for path, ask in waiting:
        begun = time.perf_counter()
        response = handler(Request("POST", "/pse/ask", ask, {}, "192.0.2.1"))
        spent += time.perf_counter() - begun
        answers.append((path, response.body))
        world.clock.forward(seconds=1)  # so many deliveries have their time
    receipts = [finish(path, Phrase(_WORD), body, edges) for path, body in answers]
    for receipt in receipts:
        begun = time.perf_counter()
        response = handler(Request("POST", "/pse/receipt", receipt, {}, "192.0.2.1"))
        spent += time.perf_counter() - begun
        if response.status != 200:
            raise ValueError(response.body)
    return spent


if __name__ == "__main__":
    from bench.figure import line

    for figure in rounds():
        print(line(figure.row()), figure.detail)
