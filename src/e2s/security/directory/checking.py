"""What stands in the directory is compared, entry by entry, with what is to stand there."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Final, NamedTuple, Protocol

from e2s.security.directory import store
from e2s.security.directory.entries import BINARY, OWNED, Attributes
from e2s.security.directory.mirror import Mirror
from e2s.security.directory.sending import Sender
from e2s.security.directory.session import Session

_AT_ONCE: Final = 500
_EVERYTHING: Final = "(objectClass=*)"


class Difference(NamedTuple):
    """One entry: ``lacking``, ``surplus``, or ``other`` with the attributes that are."""

    key: str
    kind: str
    attributes: tuple[str, ...] = ()


class Repaired(Protocol):
    """Port: sends what waits."""

    def all(self) -> object:
        """Take and send until nothing waits."""


def differences(session: Session, mirror: Mirror, sender: Sender) -> Iterator[Difference]:
    """Every difference, in the directory's order, then what is lacking; nothing is written."""
    with mirror.database.reading() as connection:
        wanted = store.all_keys(connection)
    wanted |= {above for key in wanted for above in _above(key)}
    seen: set[str] = set()
    found = session.every(mirror.tree.dn(""), _EVERYTHING, OWNED)
    while some := list(islice(found, _AT_ONCE)):
        keyed = [(key, values) for dn, values in some if (key := mirror.tree.key(dn))]
        seen.update(key for key, _ in keyed)
        yield from _differing([one for one in keyed if one[0] in wanted], mirror, sender)
        yield from (
            Difference(key, "surplus") for key, values in keyed if key not in wanted and _published(values)
        )
    for key in sorted(wanted - seen):
        yield Difference(key, "lacking")


def repair(found: Iterable[Difference], mirror: Mirror, publisher: Repaired) -> int:
    """Let each entry that differs be brought to stand as it is to; how many."""
    keys = [one.key for one in found]
    mirror.want(keys)
    publisher.all()
    return len(keys)


def _differing(
    keyed: Sequence[tuple[str, Attributes]], mirror: Mirror, sender: Sender
) -> Iterator[Difference]:
    wanted = mirror.entries([key for key, _ in keyed])
    for key, values in keyed:
        entry = wanted[key]
        changed = () if entry is None else tuple(sender.newest(entry, values).differs(values))
        if changed:
            yield Difference(key, "other", changed)


def _published(values: Attributes) -> bool:
    """Whether an entry has certificates or lists; what others keep in the tree is theirs."""
    known = {name.lower() for name in BINARY}
    return any(name.lower() in known for name in values)


def _above(key: str) -> Iterator[str]:
    parts = key.split(",")
    yield from (",".join(parts[at:]) for at in range(1, len(parts)))
