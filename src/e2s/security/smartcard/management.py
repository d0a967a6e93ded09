"""Who personalises a card proves a key to it, and the card proves it back (SP 800-73-5, part 2, 3.2.4)."""

from __future__ import annotations

import hmac
from collections.abc import Callable
from dataclasses import replace

from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from e2s.security.smartcard import apdu, piv, tlv
from e2s.security.smartcard.session import Kept, Session, stop

_WITNESS, _CHALLENGE, _RESPONSE = 0x80, 0x81, 0x82


def authenticate(
    kept: Kept, session: Session, algorithm: int, asked: dict[int, bytes], random: Callable[[int], bytes]
) -> bytes:
    """The answer's content: a witness, a challenge, or the card's own proof; raises for a wrong one."""
    memory = kept.memory
    # P1 00 is an old name of triple DES; here it means the key's own (part 2, table 21)
    if algorithm not in {0, memory.management_algorithm}:
        raise stop(apdu.BAD_PARAMETERS)
    size = 8 if memory.management_algorithm == piv.TDES else 16
    before, session.asked = session.asked, None
    if asked.get(_WITNESS) == b"":
        witness = random(size)
        session.managed, session.asked = False, (_WITNESS, witness)
        return tlv.write(_WITNESS, block(kept, witness))
    if asked.get(_CHALLENGE) == b"" and _RESPONSE not in asked:
        challenge = random(size)
        session.managed, session.asked = False, (_CHALLENGE, block(kept, challenge))
        return tlv.write(_CHALLENGE, challenge)
    given = asked.get(_WITNESS) if before is not None and before[0] == _WITNESS else asked.get(_RESPONSE)
    challenge = asked.get(_CHALLENGE, b"")
    session.managed = False
    if before is None or not given:
        raise stop(apdu.BAD_DATA)
    if before[0] == _WITNESS and len(challenge) != size:
        raise stop(apdu.BAD_DATA)
    if not hmac.compare_digest(before[1], given):
        raise stop(apdu.SECURITY_STATUS)
    session.managed = True
    return tlv.write(_RESPONSE, block(kept, challenge)) if before[0] == _WITNESS else b""


def set_key(kept: Kept, data: bytes) -> None:
    """Another management key: algorithm, 9B, size, octets."""
    size = piv.SYMMETRIC.get(data[0]) if data else None
    if size is None or data[1:3] != bytes((piv.MANAGEMENT, size)) or len(data) != 3 + size:
        raise stop(apdu.BAD_DATA)
    kept.change(replace(kept.memory, management=data[3:], management_algorithm=data[0]))


def block(kept: Kept, octets: bytes) -> bytes:
    """One block under the management key."""
    key = kept.memory.management
    chosen = TripleDES(key) if kept.memory.management_algorithm == piv.TDES else algorithms.AES(key)
    encryptor = Cipher(chosen, modes.ECB()).encryptor()  # noqa: S305 - one random block, as the standard says
    return encryptor.update(octets) + encryptor.finalize()
