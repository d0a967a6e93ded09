"""A PSE of one's own: keys are made where they stay, and wait there for their certificates.

PKCS #12 brings a key from another program, or takes it to one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from e2s.base.errors import Misuse, Refusal
from e2s.crypto.certificates import Certificate
from e2s.crypto.keys import spki_of
from e2s.security.certificates.certify import request
from e2s.security.environments.holding import KIND, Edges, ephemeral_certificate
from e2s.security.environments.kinds import HOLDER, Kind
from e2s.security.keys.generation import generate
from e2s.security.keys.phrase import Phrase
from e2s.security.keys.software import Entry, SoftwarePse


def make(path: Path, phrase: Phrase, kind: Kind, names: tuple[str, ...], edges: Edges) -> dict[str, bytes]:
    """A PSE with new keys; for each label the PKCS #10 request, DER, of its certificate.

    Raises :class:`Misuse` ``pse-exists``, ``other-keeping``, and ``not-by-holder`` for a kind with keys that
    key management makes.
    """
    if kind.keeping != "software":
        raise Misuse("other-keeping", "this kind of PSE is not kept in a file", keeping=kind.keeping)
    if any(key.made != HOLDER for key in kind.keys):
        raise Misuse("not-by-holder", "key management makes keys of this kind: be invited, and join")
    now = edges.clock.now()
    entries: dict[str, Entry] = {}
    requests: dict[str, bytes] = {}
    for key in kind.keys:
        made = generate(key.suite, edges.random)
        # nobody believes it: it holds the place until the certificate comes
        standing = ephemeral_certificate(made, now, edges.random)
        entries[key.label] = Entry(private_key=made, certificate=standing, fresh=key.fresh)
        requests[key.label] = request(made, names)
    SoftwarePse.create(
        path, phrase, entries, attributes={KIND: kind.name}, cost=edges.cost, random=edges.random
    ).close()
    return requests


def install(
    pse: SoftwarePse, phrase: Phrase, chains: Sequence[Sequence[Certificate]], edges: Edges
) -> tuple[str, ...]:
    """Put certificates, each followed by its issuers, beside their keys; the labels.

    Raises :class:`Refusal` ``no-such-key`` for a certificate of none of the keys.
    """
    found: dict[str, tuple[Certificate, tuple[Certificate, ...]]] = {}
    for own, *chain in chains:
        label = next((one for one in pse.labels() if pse.certificate(one).spki == own.spki), None)
        if label is None:
            raise Refusal("no-such-key", "a certificate is of no key in this PSE", subject=own.subject)
        found[label] = (own, tuple(chain))

    def installed(entries: dict[str, Entry]) -> Mapping[str, Entry]:
        return {
            label: replace(one, certificate=found[label][0], chain=found[label][1]) if label in found else one
            for label, one in entries.items()
        }

    pse.change(phrase, installed, random=edges.random)
    return tuple(found)


def take_in(path: Path, phrase: Phrase, label: str, entry: Entry, edges: Edges) -> None:
    """Put a key that came from elsewhere into the PSE at ``path``, or a new one.

    Raises :class:`Misuse` ``label-taken`` or ``key-there``.
    """
    if not path.exists():
        SoftwarePse.create(path, phrase, {label: entry}, cost=edges.cost, random=edges.random).close()
        return
    pse = SoftwarePse.open(path, phrase)
    try:
        if label in pse.labels():
            raise Misuse("label-taken", "there is a key of this label: name another", label=label)
        spki = spki_of(entry.private_key.public_key())
        if any(pse.certificate(one).spki == spki for one in pse.labels()):
            raise Misuse("key-there", "this key is in the PSE already")
        pse.change(phrase, lambda old: {**old, label: entry}, random=edges.random)
    finally:
        pse.close()


def erase(path: Path, edges: Edges) -> None:
    """Overwrite the file, and what waits beside it, and remove them; what a disk keeps besides is sealed."""
    for one in (path, *path.parent.glob(f"{path.name}.waiting")):
        if one.exists():
            size = one.stat().st_size
            with one.open("r+b") as file:
                file.write(edges.random(size))
                file.flush()
            one.unlink()
