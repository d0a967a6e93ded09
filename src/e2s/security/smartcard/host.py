"""A host's side of a card: commands as acts, and what a card answers as refusals that say what to do.

A way to a card carries octets; that a card was drawn shows where it carries none any more.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable
from dataclasses import replace
from typing import Final, Protocol

from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from e2s.base.errors import Misuse, Refusal
from e2s.security.keys.phrase import Phrase
from e2s.security.smartcard import apdu, codes, piv, tlv
from e2s.security.smartcard.apdu import Answer, Command
from e2s.security.smartcard.memory import CardKey

_PART: Final = 240
_CURVES: Final = {piv.P256: ec.SECP256R1(), piv.P384: ec.SECP384R1()}


class Way(Protocol):
    """Port: carries one command to a card, and its answer back.

    ``selected``: PIV is what is spoken to already.
    """

    selected: bool

    def transmit(self, octets: bytes) -> bytes:
        """Raises :class:`Refusal` ``card-removed`` once there is no card."""

    def close(self) -> None:
        """Leave the card, which forgets who used it."""


class CardHost:
    """One user of one card."""

    def __init__(self, way: Way) -> None:
        """``way`` leads to a card; PIV is selected on it, if it was not. Raises ``no-piv`` without."""
        self._way = way
        if way.selected:
            return
        answer = self.send(Command(ins=0xA4, p1=4, data=piv.AID, expected=256))
        if not answer.good:
            raise Refusal("no-piv", "this card has no PIV application", status=f"{answer.status:04X}")

    def close(self) -> None:
        """Leave the card."""
        self._way.close()

    def send(self, command: Command) -> Answer:
        """One command, in parts where it is long, and the whole of its answer."""
        return transmitted(self._way, command)

    # What anybody may ask

    def object(self, tag: int) -> bytes | None:
        """The content of an object, or None where there is none; raises ``pin-needed``."""
        octets = tag.to_bytes((tag.bit_length() + 7) // 8, "big")
        answer = self.send(Command(ins=0xCB, p1=0x3F, p2=0xFF, data=tlv.write(0x5C, octets), expected=256))
        if answer.status == apdu.NOT_FOUND:
            return None
        _check(answer)
        return tlv.inside(answer.data, 0x7E if tag == piv.DISCOVERY else 0x53)

    def certificate(self, slot: int) -> bytes | None:
        """The certificate of a slot's key, DER."""
        found = self.object(piv.SLOTS[slot].certificate)
        return tlv.members(found).get(0x70) or None if found else None

    def serial(self) -> bytes:
        """Sixteen octets that no other card has; raises :class:`Refusal` ``no-serial``."""
        serial = tlv.members(self.object(piv.CHUID) or b"").get(0x34, b"")
        if len(serial) != 16 or not any(serial):
            raise Refusal("no-serial", "this card does not say which one it is")
        return serial

    def tries(self) -> int:
        """How many tries the PIN has left; all of them where it was given just now."""
        answer = self.send(Command(ins=0x20, p2=piv.PIN))
        if answer.status == apdu.BLOCKED:
            return 0
        return answer.status & 0xF if answer.status & 0xFFF0 == apdu.TRIES else codes.SIZE

    def random(self, size: int) -> bytes:
        """Random octets of the card's."""
        answer = self.send(Command(ins=0x84, expected=size))
        _check(answer)
        return answer.data

    def attest(self, slot: int) -> bytes:
        """A certificate, DER, by the card's own key, that a slot's key was made on it."""
        answer = self.send(Command(ins=0xF9, p1=slot, expected=256))
        _check(answer)
        return answer.data

    # What the holder may

    def verify(self, pin: Phrase) -> None:
        """Give the PIN; raises :class:`Refusal` ``wrong-pin`` with the tries left, ``card-blocked``."""
        octets = codes.padded(pin.octets)
        if not codes.is_pin(octets):
            raise Refusal("bad-pin", "a PIN has six to eight digits")  # costs no try
        _check(self.send(Command(ins=0x20, p2=piv.PIN, data=octets)))

    def log_out(self) -> None:
        """Forget that the PIN was given."""
        self.send(Command(ins=0x20, p1=0xFF, p2=piv.PIN))

    def change_pin(self, old: Phrase, new: Phrase) -> None:
        """Another PIN; raises ``wrong-pin``, ``bad-pin``, ``card-blocked``."""
        fresh = codes.padded(new.octets)
        if not codes.is_pin(fresh):
            raise Refusal("bad-pin", "a PIN has six to eight digits")
        _check(self.send(Command(ins=0x24, p2=piv.PIN, data=codes.padded(old.octets)[: codes.SIZE] + fresh)))

    def unblock(self, puk: Phrase, new: Phrase) -> None:
        """Another PIN, by the PUK; raises ``wrong-pin`` (of the PUK), ``bad-pin``, ``card-blocked``."""
        fresh = codes.padded(new.octets)
        if not codes.is_pin(fresh) or len(puk.octets) != codes.SIZE:
            raise Refusal("bad-pin", "a PIN has six to eight digits, a PUK eight characters")
        _check(self.send(Command(ins=0x2C, p2=piv.PIN, data=puk.octets + fresh)))

    def sign(self, slot: int, algorithm: int, block: bytes) -> bytes:
        """The card's signature over a digest (EC), or of a padded block (RSA); raises ``pin-needed``."""
        return self._use(slot, algorithm, 0x81, block)

    def agree(self, slot: int, algorithm: int, point: bytes) -> bytes:
        """The secret shared with an uncompressed point; raises ``pin-needed``."""
        return self._use(slot, algorithm, 0x85, point)

    # What who personalises the card may

    def manage(self, key: bytes, algorithm: int, random: Callable[[int], bytes]) -> None:
        """Prove the management key, and have the card prove it; raises :class:`Refusal` ``foreign-card``."""
        size = 8 if algorithm == piv.TDES else 16
        sealed = self._general(algorithm, piv.MANAGEMENT, {0x80: b""}).get(0x80, b"")
        chosen = TripleDES(key) if algorithm == piv.TDES else algorithms.AES(key)
        cipher = Cipher(chosen, modes.ECB())  # noqa: S305 - one random block, as the standard says
        if len(sealed) != size:
            raise Refusal("foreign-card", "the card knows another management key")
        challenge = random(size)
        parts = {0x80: cipher.decryptor().update(sealed), 0x81: challenge, 0x82: b""}
        answer = self.send(_general(algorithm, piv.MANAGEMENT, parts))
        if answer.status == apdu.SECURITY_STATUS:
            raise Refusal("foreign-card", "the card knows another management key")
        _check(answer)
        proof = tlv.members(tlv.inside(answer.data, 0x7C)).get(0x82, b"")
        if not hmac.compare_digest(proof, cipher.encryptor().update(challenge)):
            raise Refusal("foreign-card", "the card does not know the management key")

    def generate(self, slot: int, algorithm: int, need: piv.Need | None = None) -> CardPublicKey:
        """A key made on the card; gives its public half."""
        asked = tlv.write(0x80, bytes((algorithm,)))
        if need is not None:
            asked += tlv.write(0xAA, bytes((need.value,)))
        answer = self.send(Command(ins=0x47, p2=slot, data=tlv.write(0xAC, asked), expected=256))
        _check(answer)
        return _public(algorithm, tlv.members(tlv.inside(answer.data, 0x7F49)))

    def generate_messaging(self, suite: int) -> ec.EllipticCurvePublicKey:
        """The card's key for secure messaging by a suite; gives its public half."""
        asked = tlv.write(0xAC, tlv.write(0x80, bytes((suite,))))
        answer = self.send(Command(ins=0x47, p2=piv.MESSAGING, data=asked, expected=256))
        _check(answer)
        curve = piv.P256 if suite == piv.CS2 else piv.P384
        made = _public(curve, tlv.members(tlv.inside(answer.data, 0x7F49)))
        if isinstance(made, rsa.RSAPublicKey):
            raise Refusal("bad-card-key", "the card gave no such key")
        return made

    def bring(self, slot: int, algorithm: int, key: CardKey, need: piv.Need | None = None) -> None:
        """Put a key that was made elsewhere onto the card."""
        if isinstance(key, rsa.RSAPrivateKey):
            numbers, half = key.private_numbers(), piv.RSA[algorithm] // 2
            data = tlv.write(1, numbers.p.to_bytes(half, "big")) + tlv.write(
                2, numbers.q.to_bytes(half, "big")
            )
        else:
            scalar = key.private_numbers().private_value
            data = tlv.write(6, scalar.to_bytes(piv.CURVES[algorithm], "big"))
        if need is not None:
            data += tlv.write(0xAA, bytes((need.value,)))
        _check(self.send(Command(ins=0xFE, p1=algorithm, p2=slot, data=data)))

    def put(self, tag: int, content: bytes) -> None:
        """Write an object; empty content removes it."""
        octets = tag.to_bytes((tag.bit_length() + 7) // 8, "big")
        data = tlv.write(0x5C, octets) + tlv.write(0x53, content)
        _check(self.send(Command(ins=0xDB, p1=0x3F, p2=0xFF, data=data)))

    def set_management(self, key: bytes, algorithm: int) -> None:
        """Another management key."""
        if piv.SYMMETRIC.get(algorithm) != len(key):
            raise Misuse("bad-card-codes", "the management key is of another size")
        data = bytes((algorithm, piv.MANAGEMENT, len(key))) + key
        _check(self.send(Command(ins=0xFF, p1=0xFF, p2=0xFF, data=data)))

    def _use(self, slot: int, algorithm: int, tag: int, given: bytes) -> bytes:
        found = self._general(algorithm, slot, {0x82: b"", tag: given}).get(0x82, b"")
        if not found:
            raise Refusal("card-refuses", "the card gave no result")
        return found

    def _general(self, algorithm: int, reference: int, parts: dict[int, bytes]) -> dict[int, bytes]:
        answer = self.send(_general(algorithm, reference, parts))
        _check(answer)
        return tlv.members(tlv.inside(answer.data, 0x7C))


def transmitted(way: Way, command: Command) -> Answer:
    """One command over a way, in parts where it is long, and the whole of its answer."""

    def once(part: Command) -> Answer:
        return apdu.read_answer(way.transmit(part.encoded()))

    data = command.data
    while len(data) > apdu.MAX_SHORT:
        answer = once(replace(command, cla=command.cla | apdu.CHAINED, data=data[:_PART], expected=None))
        if not answer.good:
            return answer
        data = data[_PART:]
    answer = once(replace(command, data=data))
    whole = answer.data
    while answer.status & 0xFF00 == apdu.MORE:
        answer = once(Command(ins=0xC0, expected=(answer.status & 0xFF) or 256))
        whole += answer.data
    return Answer(status=answer.status, data=whole)


CardPublicKey = ec.EllipticCurvePublicKey | rsa.RSAPublicKey


def _general(algorithm: int, reference: int, parts: dict[int, bytes]) -> Command:
    data = tlv.write(0x7C, b"".join(tlv.write(tag, value) for tag, value in parts.items()))
    return Command(ins=0x87, p1=algorithm, p2=reference, data=data, expected=256)


def _public(algorithm: int, parts: dict[int, bytes]) -> CardPublicKey:
    try:
        if algorithm in piv.RSA:
            e, n = (int.from_bytes(parts.get(tag, b""), "big") for tag in (0x82, 0x81))
            return rsa.RSAPublicNumbers(e, n).public_key()
        return ec.EllipticCurvePublicKey.from_encoded_point(_CURVES[algorithm], parts.get(0x86, b""))
    except ValueError as error:
        raise Refusal("bad-card-key", "the card gave no public key") from error


def _check(answer: Answer) -> None:
    """Raise for anything but success, by the rule that says what to do."""
    status = answer.status
    if answer.good:
        return
    if status & 0xFFF0 == apdu.TRIES and status & 0xF:
        left = status & 0xF
        raise Refusal("wrong-pin", f"the PIN, or the PUK, is wrong; {left} tries are left", left=left)
    if status in {apdu.BLOCKED, apdu.TRIES}:
        raise Refusal("card-blocked", "the card is blocked; its issuer unblocks it with the PUK")
    if status == apdu.SECURITY_STATUS:
        raise Refusal("pin-needed", "the card asks for its PIN first")
    raise Refusal("card-refuses", answer.sentence, status=f"{status:04X}")
