"""A CA tells those of its own party who follow it: changes in order, and lists of any size in pieces."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Final, Protocol

from e2s.base import wire
from e2s.base.errors import Misuse, Refusal
from e2s.base.wire import Document, b64u, unb64u
from e2s.network.sessions.link import Door
from e2s.security.pki.ca import Authority
from e2s.security.pki.feed import Change, Kind, Listed

CHANGES: Final = "/changes"
LISTS: Final = "/lists"
LIST: Final = "/list"
#: What one answer holds of changes or of a list.
MAX_PIECE: Final = 1024 * 1024
_MAX_ASKED: Final = 4 * 1024
_MAX_ANSWER: Final = 2 * MAX_PIECE
_MAX_LISTS: Final = 1024
_MAX_LIST_BYTES: Final = 64 * MAX_PIECE


class Asked(Protocol):
    """A link to the CA's component."""

    def ask(self, path: str, body: bytes) -> bytes:
        """The answer."""


def feed_doors(authority: Authority) -> Mapping[str, Door]:
    """The link doors of ``authority`` for its followers; they change nothing."""

    def changes(asked: Document) -> bytes:
        rows: list[list[object]] = []
        size = 0
        for change in authority.changes(_number(asked, "after"), _number(asked, "most")):
            size += len(change.der) + len(change.entry or b"")
            if rows and size > MAX_PIECE // 2:
                break
            rows.append(
                [
                    change.number,
                    f"{change.serial:x}",
                    b64u(change.entry or b""),
                    change.known,
                    change.kind.value,
                    b64u(change.der),
                ]
            )
        return wire.encode({"changes": rows})

    def lists(_asked: Document) -> bytes:
        return wire.encode({"lists": [_label(one) for one in authority.current_lists()]})

    def piece(asked: Document) -> bytes:
        begin = _number(asked, "begin")
        for one in authority.current_lists():
            if _label(one) == asked.get("list"):
                return one.der[begin : begin + MAX_PIECE]
        raise Refusal("other-list", "another list stands now")

    return {CHANGES: _door(changes), LISTS: _door(lists), LIST: _door(piece)}


class FeedClient:
    """The other end: what a repository or responder of the same party asks its CA."""

    def __init__(self, link: Asked) -> None:
        """``link`` to the CA's component."""
        self._link = link

    def changes(self, after: int, most: int) -> list[Change]:
        """The changes behind ``after``, at most ``most``.

        Raises :class:`Refusal` ``bad-feed``, :class:`Unreachable` where the CA does not answer.
        """
        answer = self._link.ask(CHANGES, wire.encode({"after": after, "most": most}))
        try:
            return [_change(row) for row in wire.decode(answer, _MAX_ANSWER)["changes"]]
        except (Misuse, KeyError, TypeError, ValueError, AttributeError) as error:
            raise _bad() from error

    def lists(self, known: Iterable[tuple[int | None, bool, int]]) -> list[Listed]:
        """The lists that stand now and are not ``known``, whole."""
        held = set(known)
        answer = self._link.ask(LISTS, wire.encode({}))
        try:
            labels = wire.decode(answer, _MAX_ANSWER)["lists"]
            if type(labels) is not list or len(labels) > _MAX_LISTS:
                raise _bad()
            wanted = [(label, *_read_label(label)) for label in labels]
        except (Misuse, KeyError, TypeError, ValueError, AttributeError) as error:
            raise _bad() from error
        return [
            Listed(shard, delta, number, self._whole(label, size))
            for label, shard, delta, number, size in wanted
            if (shard, delta, number) not in held
        ]

    def _whole(self, label: Document, size: int) -> bytes:
        """A list, piece by piece."""
        octets = bytearray()
        while len(octets) < size:
            piece = self._link.ask(LIST, wire.encode({"list": label, "begin": len(octets)}))
            if not piece or len(octets) + len(piece) > size:
                raise _bad()
            octets += piece
        return bytes(octets)


def _door(act: Callable[[Document], bytes]) -> Door:
    return lambda _peer, body: act(wire.decode(body, _MAX_ASKED))


def _number(asked: Document, name: str) -> int:
    value = asked.get(name)
    if type(value) is not int or value < 0:
        raise Refusal("bad-feed", "a number of the feed is not negative", member=name)
    return value


def _label(one: Listed) -> Document:
    shard = {} if one.shard is None else {"shard": one.shard}
    return {"delta": one.delta, "number": one.number, "size": len(one.der), **shard}


def _read_label(label: Document) -> tuple[int | None, bool, int, int]:
    shard, delta, number, size = label.get("shard"), label["delta"], label["number"], label["size"]
    if type(delta) is not bool or type(number) is not int or type(size) is not int:
        raise _bad()
    if not (shard is None or type(shard) is int) or not 0 < size <= _MAX_LIST_BYTES:
        raise _bad()
    return shard, delta, number, size


def _change(row: list[object]) -> Change:
    number, serial, entry, known, kind, der = row
    if type(number) is not int or type(known) is not bool:
        raise _bad()
    octets = unb64u(str(entry))
    return Change(number, int(str(serial), 16), octets or None, known, Kind(kind), unb64u(str(der)))


def _bad() -> Refusal:
    return Refusal("bad-feed", "the CA's answer is not well formed")
