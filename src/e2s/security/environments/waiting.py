"""What a holder has asked for and not yet received, sealed by her pass phrase beside her PSE.

It is there before anything is sent: who was interrupted, or lost an answer, goes on with the same ask, which
is all that the same parcel is given to.  It ends when the receipt is taken.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from e2s.base import wire
from e2s.base.errors import Misuse, Refusal
from e2s.crypto.certificates import Certificate
from e2s.crypto.kinds import PrivateKey
from e2s.security.environments.parcel import pkcs8, read_pkcs8
from e2s.security.keys import container
from e2s.security.keys.container import Cost
from e2s.security.keys.durable import replace_file
from e2s.security.keys.phrase import Phrase
from e2s.security.keys.software import Random

_STATE: Final = "state"
_EPHEMERAL: Final = "seal-to"
_ANSWER: Final = "answer"
_KEY: Final = "key "
_ANSWER_BYTES: Final = 400 * 1024


@dataclass(frozen=True, kw_only=True)
class Waiting:
    """The ask as it is sent, the keys made for it, and what its answer is judged by.

    ``names`` are those that were offered; ``root`` is the digest of the root that is believed, in
    hexadecimal.  ``ephemeral`` is None where the parcel is sealed to a key of the PSE.  ``secret`` is the
    invitation's; a renewal has none.
    """

    reference: str
    origin: str
    kind: str
    labels: tuple[str, ...]
    fresh: tuple[str, ...]
    names: tuple[str, ...]
    root: str
    ask: bytes = field(repr=False)
    seal_to: Certificate
    secret: bytes | None = field(default=None, repr=False)
    ephemeral: PrivateKey | None = field(default=None, repr=False)
    keys: Mapping[str, PrivateKey] = field(default_factory=dict, repr=False)
    #: Keys that live elsewhere, in a token, as SubjectPublicKeyInfo.
    kept: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    answer: bytes = field(default=b"", repr=False)

    def answered(self, answer: bytes) -> Waiting:
        """The same with the answer that came."""
        return replace(self, answer=answer)


def path_beside(pse: Path) -> Path:
    """Where what waits for a PSE lies."""
    return pse.with_name(f"{pse.name}.waiting")


def keep(pse: Path, waiting: Waiting, phrase: Phrase, *, cost: Cost, random: Random) -> None:
    """Put it beside the PSE, durably."""
    state = {
        "reference": waiting.reference,
        "origin": waiting.origin,
        "kind": waiting.kind,
        "labels": list(waiting.labels),
        "fresh": list(waiting.fresh),
        "names": list(waiting.names),
        "root": waiting.root,
        "kept": {label: wire.b64u(spki) for label, spki in waiting.kept.items()},
        "ask": wire.b64u(waiting.ask),
        "seal-to": wire.b64u(waiting.seal_to.der),
        "secret": "" if waiting.secret is None else wire.b64u(waiting.secret),
    }
    if len(waiting.answer) > _ANSWER_BYTES:
        raise Refusal("too-large", "the answer is larger than may be kept", size=len(waiting.answer))
    sections = {_STATE: wire.encode(state), _ANSWER: waiting.answer}
    if waiting.ephemeral is not None:
        sections[_EPHEMERAL] = pkcs8(waiting.ephemeral)
    sections |= {_KEY + label: pkcs8(key) for label, key in waiting.keys.items()}
    replace_file(path_beside(pse), container.seal(sections, phrase, cost=cost, random=random))


def waits(pse: Path) -> bool:
    """Whether something waits for the PSE at this path."""
    return path_beside(pse).exists()


def read(pse: Path, phrase: Phrase) -> Waiting:
    """What waits; raises :class:`Misuse` ``nothing-waits``, :class:`Refusal` ``wrong-pass-phrase``..."""
    path = path_beside(pse)
    try:
        with path.open("rb") as file:
            sealed = container.read(file.read(container.MAX_CONTAINER_BYTES + 1))
    except OSError as error:
        raise Misuse("nothing-waits", "nothing was asked for here", path=str(path)) from error
    unlocked = sealed.unlock(phrase)
    opened = {label: sealed.open(unlocked, label) for label in sealed.sections}
    state = wire.decode(opened[_STATE], container.MAX_CONTAINER_BYTES)
    ephemeral = opened.get(_EPHEMERAL)
    return Waiting(
        reference=state["reference"],
        origin=state["origin"],
        kind=state["kind"],
        labels=tuple(state["labels"]),
        fresh=tuple(state["fresh"]),
        names=tuple(state["names"]),
        root=state["root"],
        ask=wire.unb64u(state["ask"]),
        seal_to=Certificate.read(wire.unb64u(state["seal-to"])),
        secret=wire.unb64u(state["secret"]) if state["secret"] else None,
        ephemeral=read_pkcs8(ephemeral) if ephemeral else None,
        keys={
            label.removeprefix(_KEY): read_pkcs8(octets)
            for label, octets in opened.items()
            if label.startswith(_KEY)
        },
        kept={label: wire.unb64u(spki) for label, spki in state["kept"].items()},
        answer=opened[_ANSWER],
    )


def forget(pse: Path) -> None:
    """The delivery is over."""
    path_beside(pse).unlink(missing_ok=True)
