"""A table with a fault put into it, to show that fuzzing finds it."""

from __future__ import annotations

from e2s.base import wire
from tests.fuzz.shapes import document_bent
from tests.fuzz.target import Target


def _read(octets: bytes) -> None:
    if len(wire.decode(octets)) == 3:
        raise KeyError("planted")


TARGETS = {
    "planted": Target(name="planted", read=_read, seeds=lambda: [b'{"a":1}'], mutate=document_bent),
}
