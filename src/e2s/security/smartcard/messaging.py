"""Secure messaging (SP 800-73-5, part 2, 4): no reader between sees a PIN, or changes what it carries.

The host makes a key for one session; the card's own key, certified by its issuer, agrees with it, and proves
by a MAC that it did.  Each command and answer is encrypted and, with all before it, authenticated.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.cmac import CMAC
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from e2s.base.errors import Refusal
from e2s.security.smartcard import apdu, piv, tlv
from e2s.security.smartcard.apdu import Answer, Command
from e2s.security.smartcard.verifiable import read_verifiable

_BLOCK: Final = 16
_MAC: Final = 8
HOST_BYTES: Final = 8
_NOTHING: Final = b"\0"
_PADDED: Final = b"\x01"
_DATA, _EXPECTED, _STATUS, _CHECK = 0x87, 0x97, 0x99, 0x8E


@dataclass(frozen=True, kw_only=True)
class Suite:
    """A cipher suite (part 2, table 14): its curve and digest, the size of its AES keys and of a nonce."""

    algorithm: int
    curve: ec.EllipticCurve
    digest: Callable[..., Any]
    key_bytes: int
    nonce_bytes: int
    identifier: bytes

    @property
    def point_bytes(self) -> int:
        """Of an uncompressed point."""
        return 1 + 2 * ((self.curve.key_size + 7) // 8)


SUITES: Final[Mapping[int, Suite]] = MappingProxyType(
    {
        piv.CS2: Suite(
            algorithm=piv.CS2,
            curve=ec.SECP256R1(),
            digest=hashlib.sha256,
            key_bytes=16,
            nonce_bytes=16,
            identifier=b"\x09" * 4,
        ),
        piv.CS7: Suite(
            algorithm=piv.CS7,
            curve=ec.SECP384R1(),
            digest=hashlib.sha384,
            key_bytes=32,
            nonce_bytes=24,
            identifier=b"\x0d" * 4,
        ),
    }
)


class Keys(NamedTuple):
    """Of one session: what confirms it, and what authenticates commands, encrypts, authenticates answers."""

    confirm: bytes
    command: bytes
    encipher: bytes
    answer: bytes


def derived(suite: Suite, secret: bytes, host: bytes, point: bytes, card: bytes, nonce: bytes) -> Keys:
    """The keys (part 2, 4.1.6; SP 800-56A, 5.8.1); ``point`` is the host's, uncompressed."""
    parts = (suite.identifier, host, _NOTHING, point[1:17], card, nonce, _NOTHING)
    info = b"".join(bytes((len(part),)) + part for part in parts)
    size, octets, counter = suite.key_bytes, b"", 1
    while len(octets) < 4 * size:
        octets += suite.digest(counter.to_bytes(4, "big") + secret + info).digest()
        counter += 1
    return Keys(*(octets[place * size : (place + 1) * size] for place in range(4)))


def confirmed(keys: Keys, card: bytes, host: bytes, point: bytes) -> bytes:
    """The card's proof that it has the keys (part 2, 4.1.7)."""
    return _cmac(keys.confirm, b"KC_1_V" + card + host + point[1:])


def card_name(certificate: bytes) -> bytes:
    """What the card is called meanwhile: the beginning of its certificate's digest."""
    return hashlib.sha256(certificate).digest()[:HOST_BYTES]


def agreed(
    suite: Suite, key: ec.EllipticCurvePrivateKey, certificate: bytes, asked: bytes, nonce: bytes
) -> tuple[bytes, Channel]:
    """The card's side: its answer and the channel; raises :class:`Refusal` ``bad-data``."""
    if len(asked) != 1 + HOST_BYTES + suite.point_bytes or asked[:1] != _NOTHING:
        raise Refusal("bad-data", "a control octet, an identifier and a point are sent")
    host, point = asked[1 : 1 + HOST_BYTES], asked[1 + HOST_BYTES :]
    secret = _secret(key, suite, point)
    card = card_name(certificate)
    keys = derived(suite, secret, host, point, card, nonce)
    answer = _NOTHING + nonce + confirmed(keys, card, host, point) + certificate
    return answer, Channel(keys)


class Offer:
    """The host's side: what it sends, and what it makes of the card's answer."""

    def __init__(
        self, suite: Suite, signer: ec.EllipticCurvePublicKey, random: Callable[[int], bytes]
    ) -> None:
        """``signer`` certifies the keys of the issuer's cards."""
        self._suite, self._signer = suite, signer
        self._key = ec.generate_private_key(suite.curve)
        self._host = random(HOST_BYTES)
        self._point = self._key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        self.sent = _NOTHING + self._host + self._point

    def accepted(self, answer: bytes) -> tuple[bytes, Channel]:
        """The card's serial and the channel; raises ``foreign-card`` or ``bad-card-certificate``."""
        suite = self._suite
        start = 1 + suite.nonce_bytes
        nonce, proof, certificate = answer[1:start], answer[start : start + _BLOCK], answer[start + _BLOCK :]
        if answer[:1] != _NOTHING:
            raise Refusal("foreign-card", "the card does not take the session")
        read = read_verifiable(certificate)
        read.check(self._signer)
        if read.key.curve.name != suite.curve.name:
            raise Refusal("foreign-card", "the card's key is on another curve")
        secret = self._key.exchange(ec.ECDH(), read.key)
        card = card_name(certificate)
        keys = derived(suite, secret, self._host, self._point, card, nonce)
        if not hmac.compare_digest(proof, confirmed(keys, card, self._host, self._point)):
            raise Refusal("foreign-card", "the card does not prove its key")
        return read.subject, Channel(keys)


class Channel:
    """One session's protection, at either end; what is wrong once ends it."""

    def __init__(self, keys: Keys) -> None:
        """Nothing was sent yet."""
        self._keys = keys
        self._commands, self._answers = 1, 1
        self._command_chain = self._answer_chain = bytes(_BLOCK)
        self._broken = False

    def sealed_command(self, command: Command) -> Command:
        """The command as it crosses (part 2, 4.2.2)."""
        data = b""
        if command.data:
            data += tlv.write(_DATA, _PADDED + self._encrypted(self._commands_vector(), command.data))
        if command.expected is not None:
            data += tlv.write(_EXPECTED, bytes((command.expected & 0xFF,)))
        self._commands += 1
        check = self._command_mac(command, data)
        return Command(
            cla=apdu.SECURED,
            ins=command.ins,
            p1=command.p1,
            p2=command.p2,
            data=data + tlv.write(_CHECK, check),
            expected=256,
        )

    def opened_command(self, sealed: Command) -> Command:
        """The command that crossed; raises :class:`Refusal` ``channel-broken``, and from then on always."""
        self._check_whole()
        parts = self._parts(sealed.data, (_DATA, _EXPECTED, _CHECK))
        check = parts.get(_CHECK, b"")
        covered = sealed.data[: len(sealed.data) - len(tlv.write(_CHECK, check))]
        if not hmac.compare_digest(check, self._command_mac(sealed, covered)):
            raise self._break()
        data = b""
        if _DATA in parts:
            data = self._decrypted(self._commands_vector(), parts[_DATA])
        expected = parts.get(_EXPECTED)
        self._commands += 1
        if expected is not None and len(expected) != 1:
            raise self._break()
        # the whole answer is protected at once: what is expected at most is the transport's to cut
        return Command(
            ins=sealed.ins,
            p1=sealed.p1,
            p2=sealed.p2,
            data=data,
            expected=None if expected is None else 65536,
        )

    def sealed_answer(self, answer: Answer) -> bytes:
        """The answer's data as it crosses (part 2, 4.2.4); its own status is inside."""
        data = b""
        if answer.data:
            data += tlv.write(_DATA, _PADDED + self._encrypted(self._answers_vector(), answer.data))
        data += tlv.write(_STATUS, answer.status.to_bytes(2, "big"))
        self._answers += 1
        return data + tlv.write(_CHECK, self._answer_mac(data))

    def opened_answer(self, sealed: bytes) -> Answer:
        """The answer that crossed; raises :class:`Refusal` ``channel-broken``, and from then on always."""
        self._check_whole()
        parts = self._parts(sealed, (_DATA, _STATUS, _CHECK))
        check = parts.get(_CHECK, b"")
        covered = sealed[: len(sealed) - len(tlv.write(_CHECK, check))]
        if not hmac.compare_digest(check, self._answer_mac(covered)) or len(parts.get(_STATUS, b"")) != 2:
            raise self._break()
        data = self._decrypted(self._answers_vector(), parts[_DATA]) if _DATA in parts else b""
        self._answers += 1
        return Answer(data=data, status=int.from_bytes(parts[_STATUS], "big"))

    def _parts(self, octets: bytes, wanted: tuple[int, ...]) -> dict[int, bytes]:
        """The objects, in their order, the check last."""
        try:
            parts = list(tlv.objects(octets))
        except Refusal as refusal:
            raise self._break() from refusal
        tags = [tag for tag, _ in parts]
        if tags != [tag for tag in wanted if tag in tags] or tags[-1:] != [_CHECK]:
            raise self._break()
        return dict(parts)

    def _command_mac(self, command: Command, data: bytes) -> bytes:
        header = bytes((apdu.SECURED, command.ins, command.p1, command.p2, 0x80)).ljust(_BLOCK, b"\0")
        self._command_chain = _cmac(self._keys.command, self._command_chain + header + data)
        return self._command_chain[:_MAC]

    def _answer_mac(self, data: bytes) -> bytes:
        self._answer_chain = _cmac(self._keys.answer, self._answer_chain + data)
        return self._answer_chain[:_MAC]

    def _commands_vector(self) -> bytes:
        return self._vector(self._commands)

    def _answers_vector(self) -> bytes:
        return self._vector(1 << 127 | self._answers)

    def _vector(self, counter: int) -> bytes:
        """An initial vector that nobody can tell before: the counter, encrypted."""
        cipher = Cipher(algorithms.AES(self._keys.encipher), modes.ECB())  # noqa: S305 - one block, once
        return cipher.encryptor().update(counter.to_bytes(_BLOCK, "big"))

    def _encrypted(self, vector: bytes, data: bytes) -> bytes:
        padded = data + b"\x80" + bytes(-(len(data) + 1) % _BLOCK)
        return Cipher(algorithms.AES(self._keys.encipher), modes.CBC(vector)).encryptor().update(padded)

    def _decrypted(self, vector: bytes, given: bytes) -> bytes:
        """What was encrypted; its MAC was good, so that a wrong padding tells nothing."""
        if given[:1] != _PADDED or len(given) < _BLOCK + 1 or len(given) % _BLOCK != 1:
            raise self._break()
        plain = Cipher(algorithms.AES(self._keys.encipher), modes.CBC(vector)).decryptor().update(given[1:])
        data, mark, rest = plain.rpartition(b"\x80")
        if not mark or rest.strip(b"\0") or len(rest) >= _BLOCK:
            raise self._break()
        return data

    def _check_whole(self) -> None:
        if self._broken:
            raise self._break()

    def _break(self) -> Refusal:
        self._broken = True
        return Refusal(
            "channel-broken", "the message was altered, or is not the next one", status=apdu.BAD_SM_OBJECTS
        )


def _secret(key: ec.EllipticCurvePrivateKey, suite: Suite, point: bytes) -> bytes:
    try:
        peer = ec.EllipticCurvePublicKey.from_encoded_point(suite.curve, point)
    except ValueError as error:
        raise Refusal("bad-data", "this is no point of the suite's curve") from error
    return key.exchange(ec.ECDH(), peer)


def _cmac(key: bytes, data: bytes) -> bytes:
    made = CMAC(algorithms.AES(key))
    made.update(data)
    return made.finalize()
