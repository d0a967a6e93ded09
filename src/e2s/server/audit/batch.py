"""What components and sequencer say to each other: a batch of outbox rows, and the head that holds them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from e2s.base import wire
from e2s.base.errors import Refusal

#: The sequencer's door on the party's links.
DOOR: Final = "/audit"
MAX_EVENTS: Final = 200
MAX_EVENT_BYTES: Final = 16 * 1024
MAX_BATCH_BYTES: Final = 128 * 1024
#: Event octets in one batch, such that base64url and its frame stay below the batch's bound.
_EVENT_BYTES: Final = 64 * 1024
_TYPE: Final = "e2s/1/audit-batch"
_HEAD: Final = "e2s/1/audit-head"
_OUTBOX: Final = re.compile(r"[a-z0-9-]{0,40}", re.ASCII)


def fitting(rows: Sequence[tuple[int, bytes]]) -> list[tuple[int, bytes]]:
    """As many of the first ``rows`` as one batch takes, at least one."""
    taken: list[tuple[int, bytes]] = []
    size = 0
    for row, event in rows[:MAX_EVENTS]:
        size += len(event)
        if taken and size > _EVENT_BYTES:
            break
        taken.append((row, event))
    return taken


def write_batch(rows: Sequence[tuple[int, bytes]], outbox: str = "") -> bytes:
    """The octets of a batch; ``outbox`` tells apart the outboxes of a component that has several."""
    events = [{"row": row, "event": wire.b64u(event)} for row, event in rows]
    return wire.encode({"type": _TYPE, "outbox": outbox, "events": events})


def read_batch(octets: bytes) -> tuple[str, list[tuple[int, bytes]]]:
    """The outbox and its (row, event) pairs; each event is a canonical document that names itself one.

    Raises :class:`Refusal` ``bad-audit-batch`` or what the reading of a document raises.
    """
    document = wire.decode(octets, MAX_BATCH_BYTES)
    if document.keys() != {"type", "outbox", "events"} or document["type"] != _TYPE:
        raise Refusal("bad-audit-batch", "the octets are not a batch of events")
    outbox, events = document["outbox"], document["events"]
    if not isinstance(outbox, str) or not _OUTBOX.fullmatch(outbox) or not isinstance(events, list):
        raise Refusal("bad-audit-batch", "the octets are not a batch of events")
    if not 0 < len(events) <= MAX_EVENTS:
        raise Refusal("bad-audit-batch", f"a batch has 1 to {MAX_EVENTS} events")
    return outbox, [_row(event) for event in events]


def _row(item: object) -> tuple[int, bytes]:
    if not isinstance(item, dict) or item.keys() != {"row", "event"}:
        raise Refusal("bad-audit-batch", "an event of a batch has its row and its octets")
    row, text = item["row"], item["event"]
    if type(row) is not int or row < 1 or not isinstance(text, str):
        raise Refusal("bad-audit-batch", "an event of a batch has its row and its octets")
    event = wire.unb64u(text)
    if wire.decode(event, MAX_EVENT_BYTES).get("type") != "e2s/1/event":
        raise Refusal("bad-audit-batch", "only events are entered into the log")
    return row, event


def write_head(number: int, digest: bytes) -> bytes:
    """The sequencer's answer: everything sent stands at or before entry ``number``."""
    return wire.encode({"type": _HEAD, "number": number, "digest": wire.b64u(digest)})


def read_head(octets: bytes) -> tuple[int, bytes]:
    """The answer's number and digest; raises :class:`Refusal` ``bad-audit-head``."""
    document = wire.decode(octets)
    number, digest = document.get("number"), document.get("digest")
    if document.get("type") != _HEAD or type(number) is not int or not isinstance(digest, str):
        raise Refusal("bad-audit-head", "the octets are not the sequencer's answer")
    return number, wire.unb64u(digest)
