"""The PIN and the PUK: a try is taken before anything is compared, and given back only to who was right."""

from __future__ import annotations

import hmac
from dataclasses import replace
from typing import Final

from e2s.security.smartcard import apdu, piv
from e2s.security.smartcard.memory import Code, Memory
from e2s.security.smartcard.session import Kept, Session, stop

SIZE: Final = 8
_PAD: Final = b"\xff"
_LEAST_DIGITS: Final = 6
_DIGITS: Final = frozenset(b"0123456789")


def padded(digits: bytes) -> bytes:
    """A PIN as it crosses: padded with FF to eight octets (SP 800-73-5, part 2, 2.4.3)."""
    return digits.ljust(SIZE, _PAD)


def is_pin(octets: bytes) -> bool:
    """Whether these are six to eight digits, padded."""
    digits = octets.rstrip(_PAD)
    return len(octets) == SIZE and len(digits) >= _LEAST_DIGITS and _DIGITS.issuperset(digits)


def code(memory: Memory, reference: int) -> Code:
    """The PIN or the PUK; raises for another reference."""
    if reference not in {piv.PIN, piv.PUK}:
        raise stop(apdu.NO_REFERENCE)
    return memory.pin if reference == piv.PIN else memory.puk


def with_code(memory: Memory, reference: int, changed: Code) -> Memory:
    """The memory with another PIN or PUK."""
    return replace(memory, pin=changed) if reference == piv.PIN else replace(memory, puk=changed)


def compare(kept: Kept, reference: int, given: bytes) -> None:
    """Take a try, compare, and give the tries back; raises what the card answers to a wrong one.

    Once both are blocked, the private keys of a card that was made so are gone.
    """
    known = code(kept.memory, reference)
    if not known.left:
        raise stop(apdu.BLOCKED)
    kept.change(with_code(kept.memory, reference, replace(known, left=known.left - 1)))
    if hmac.compare_digest(known.octets, given):
        kept.change(with_code(kept.memory, reference, replace(known, left=known.most)))
        return
    memory = kept.memory
    if not memory.pin.left and not memory.puk.left and memory.erase_when_blocked and memory.keys:
        kept.change(replace(memory, keys={}))
    raise stop(apdu.TRIES | min(known.left - 1, 0xF))


def verify(kept: Kept, session: Session, command: apdu.Command) -> None:
    """VERIFY (part 2, 3.2.1): with a PIN, for its status alone, or, with P1 FF, to log out."""
    known = code(kept.memory, command.p2)
    if command.p2 != piv.PIN:
        raise stop(apdu.NO_REFERENCE)
    if command.p1 == 0xFF and not command.data:
        session.verified = session.fresh = False
        return
    if command.p1:
        raise stop(apdu.BAD_PARAMETERS)
    if not command.data:
        if session.verified:
            return
        raise stop(apdu.TRIES | min(known.left, 0xF) if known.left else apdu.BLOCKED)
    session.verified = session.fresh = False
    if not known.left:
        raise stop(apdu.BLOCKED)
    if not is_pin(command.data):
        raise stop(apdu.BAD_DATA)
    compare(kept, command.p2, command.data)
    session.verified = session.fresh = True


def change(kept: Kept, session: Session, command: apdu.Command) -> None:
    """CHANGE REFERENCE DATA (part 2, 3.2.2): the old PIN or PUK, and the new one."""
    known = code(kept.memory, command.p2)
    if command.p1:
        raise stop(apdu.BAD_PARAMETERS)
    if not known.left:
        raise stop(apdu.BLOCKED)
    old, new = command.data[:SIZE], command.data[SIZE:]
    _check_new(command.p2, old, new)
    if command.p2 == piv.PIN:
        session.verified = session.fresh = False
    compare(kept, command.p2, old)
    _set(kept, command.p2, new)
    if command.p2 == piv.PIN:
        session.verified = True


def unblock(kept: Kept, session: Session, command: apdu.Command) -> None:
    """RESET RETRY COUNTER (part 2, 3.2.3): the PUK, and a new PIN."""
    if command.p1 or command.p2 != piv.PIN:
        raise stop(apdu.BAD_PARAMETERS if command.p1 else apdu.NO_REFERENCE)
    if not kept.memory.puk.left:
        raise stop(apdu.BLOCKED)
    puk, new = command.data[:SIZE], command.data[SIZE:]
    _check_new(piv.PIN, puk, new)
    session.verified = session.fresh = False
    compare(kept, piv.PUK, puk)
    _set(kept, piv.PIN, new)


def _check_new(reference: int, old: bytes, new: bytes) -> None:
    """A PUK is any eight octets, a PIN of digits; a wrong form costs no try."""
    if len(old) != SIZE or len(new) != SIZE or (reference == piv.PIN and not is_pin(new)):
        raise stop(apdu.BAD_DATA)


def _set(kept: Kept, reference: int, new: bytes) -> None:
    known = code(kept.memory, reference)
    kept.change(with_code(kept.memory, reference, replace(known, octets=new, left=known.most)))
