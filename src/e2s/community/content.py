"""The content manager loads a catalogue with the community's contracts (2.1): one sealed request."""

from __future__ import annotations

import json
import zlib

from e2s.base import wire
from e2s.base.wire import b64u
from e2s.community.assembly_merchant import CONTENT_MANAGER, content_key
from e2s.community.place import Place
from e2s.network.sessions.link import Link, read_key


def load_catalogue(place: Place, csv: bytes, *, currency: str, source: str) -> int:
    """The number of the new version, made and signed by the catalogue component of ``place``.

    Raises :class:`Refusal` of the CSV with its line, ``Unreachable`` when the component does not run.
    """
    key = read_key(content_key(place))
    link = Link(
        CONTENT_MANAGER, place.name, key, place.exchange, place.component.origin, place.clock, place.random
    )
    asked = {
        "csv": b64u(zlib.compress(csv)),
        "contracts": b64u(contracts_file(place)),
        "currency": currency,
        "source": source,
    }
    return int(wire.decode(link.ask("/load", wire.encode(asked)))["version"])


def contracts_file(place: Place) -> bytes:
    """The merchant's contracts as the TOML that price lists are made from."""
    parts = []
    for agreed in place.community.contracts:
        if agreed.merchant == place.component.party:
            parts += [
                "[[contract]]",
                f"organisation = {json.dumps(place.community.urn(agreed.organisation))}",
                f'id = "{agreed.merchant}-{agreed.organisation}"',
                f"text = {json.dumps(agreed.text, ensure_ascii=False)}",
                "[[contract.rule]]",
                'kind = "discount"',
                f'value = "{agreed.discount}"',
                "",
            ]
    return "\n".join(parts).encode()
