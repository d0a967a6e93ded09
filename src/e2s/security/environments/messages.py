"""The messages of a delivery as values: what is asked, offered, asked for, and ended."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from e2s.base import wire
from e2s.base.instants import format_instant
from e2s.crypto.certificates import Certificate
from e2s.security.environments.kinds import Kind

NONCE_BYTES: Final = 16
LOOK, OFFER, ASK, PARCEL, END = (f"e2s/1/pse-{name}" for name in ("look", "offer", "ask", "parcel", "end"))


@dataclass(frozen=True, kw_only=True)
class Look:
    """The question what an invitation gives; ``nonce`` comes back with the answer."""

    reference: str
    origin: str
    at: datetime
    nonce: bytes

    def said(self) -> wire.Document:
        """As a document, without its MAC."""
        return {
            "type": LOOK,
            "reference": self.reference,
            "origin": self.origin,
            "at": format_instant(self.at),
            "nonce": wire.b64u(self.nonce),
        }


@dataclass(frozen=True, kw_only=True)
class Offer:
    """What the invitation gives: a PSE of this kind under these names, of a community with this root."""

    reference: str
    nonce: bytes
    kind: Kind
    names: tuple[str, ...]
    root: Certificate = field(repr=False)

    def said(self) -> wire.Document:
        """As a document, without its MAC."""
        keys = [
            {
                "label": key.label,
                "profile": key.profile,
                "suite": key.suite,
                "made": key.made,
                "fresh": key.fresh,
                "escrow": key.escrow,
            }
            for key in self.kind.keys
        ]
        return {
            "type": OFFER,
            "reference": self.reference,
            "nonce": wire.b64u(self.nonce),
            "kind": self.kind.name,
            "keeping": self.kind.keeping,
            "central": self.kind.central,
            "keys": keys,
            "names": list(self.names),
            "root": wire.b64u(self.root.der),
        }


@dataclass(frozen=True, kw_only=True)
class Ask:
    """The requests of the keys that the holder made, by label, and the certificate to which is sealed.

    An empty request asks for a key that key management makes.  The certificate is one of an
    ephemeral key, which nobody certified, or the holder's own.  ``digest`` is of the whole as it came: a
    repeat is the same.
    """

    reference: str
    origin: str
    at: datetime
    nonce: bytes
    seal_to: Certificate
    kind: str
    requests: Mapping[str, bytes] = field(repr=False)
    held: Mapping[str, Certificate] = field(default_factory=dict, repr=False)
    digest: bytes = b""

    def encoded_held(self) -> bytes:
        """The certificates that are renewed, to be kept; empty where none are."""
        return (
            json.dumps({label: wire.b64u(one.der) for label, one in self.held.items()}).encode()
            if self.held
            else b""
        )

    def said(self) -> wire.Document:
        """As a document, without its MAC."""
        requests = [{"label": label, "request": wire.b64u(one)} for label, one in self.requests.items()]
        held = [{"label": label, "certificate": wire.b64u(one.der)} for label, one in self.held.items()]
        return {
            "type": ASK,
            "reference": self.reference,
            "origin": self.origin,
            "at": format_instant(self.at),
            "nonce": wire.b64u(self.nonce),
            "seal-to": wire.b64u(self.seal_to.der),
            "kind": self.kind,
            "requests": requests,
            **({"held": held} if held else {}),
        }


@dataclass(frozen=True, kw_only=True)
class End:
    """A holder's word that certificates of hers end for a reason (RFC 5280, 5.3.1)."""

    origin: str
    at: datetime
    reason: str
    certificates: tuple[Certificate, ...]

    def encoded(self) -> bytes:
        """What is signed."""
        return wire.encode(
            {
                "type": END,
                "origin": self.origin,
                "at": format_instant(self.at),
                "reason": self.reason,
                "certificates": [wire.b64u(one.der) for one in self.certificates],
            }
        )
