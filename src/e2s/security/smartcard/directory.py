"""What a card's keys are called and who certified them, in an object of the card's own.

Others' cards have none: the slots' own names are the labels, and there is no chain.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from e2s.base import wire
from e2s.base.errors import Misuse
from e2s.base.wire import b64u, unb64u
from e2s.crypto.certificates import MAX_CERTIFICATE_BYTES, Certificate
from e2s.crypto.forms import Form, list_of, octets_max, one_of, record, text
from e2s.security.smartcard import piv

_SLOTS: Final = tuple(f"{slot:02x}" for slot in piv.SLOTS)
_MAX_CHAIN: Final = 6
FORM: Final = Form(
    "e2s/1/card-directory",
    {
        "keys": list_of(record({"label": text(64), "slot": one_of(*_SLOTS)}), len(_SLOTS)),
        "chain": list_of(octets_max(MAX_CERTIFICATE_BYTES), _MAX_CHAIN),
    },
    envelope=False,
)
#: What the four slots are called on a card that does not say (SP 800-73-5, part 1, 3.1.3).
USUAL: Final[Mapping[str, int]] = MappingProxyType(
    {
        "authentication": piv.AUTHENTICATION,
        "signature": piv.SIGNATURE,
        "agreement": piv.KEY_MANAGEMENT,
        "card-authentication": piv.CARD,
    }
)


@dataclass(frozen=True, kw_only=True)
class Directory:
    """Slots by label, in the order of their making, and the issuers' certificates below the root."""

    slots: Mapping[str, int]
    chain: tuple[Certificate, ...] = ()

    def encoded(self) -> bytes:
        """The object's content; raises :class:`Misuse` ``card-full`` for more than one object holds."""
        octets = wire.encode(
            {
                "type": FORM.type,
                "keys": [{"label": label, "slot": f"{slot:02x}"} for label, slot in self.slots.items()],
                "chain": [b64u(one.der) for one in self.chain],
            }
        )
        if len(octets) > piv.MAX_OBJECT_BYTES:
            raise Misuse("card-full", "the certificates of the issuers are more than a card's object holds")
        return octets


def read_directory(octets: bytes | None) -> Directory:
    """The directory of a card, or the usual one; raises :class:`Refusal` as forms do."""
    if octets is None:
        return Directory(slots=USUAL)
    document = wire.decode(octets, piv.MAX_OBJECT_BYTES)
    FORM.check(document)
    return Directory(
        slots={one["label"]: int(one["slot"], 16) for one in document["keys"]},
        chain=tuple(Certificate.read(unb64u(one)) for one in document["chain"]),
    )
