"""A personal security environment on a card: its keys stay there, and its PIN is compared there.

The card gives its certificates to anybody; its keys work once the PIN was given.  A fresh key asks for it
again at each signature.  When the card is drawn, each use is refused: whoever goes on opens it anew.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_public_key

from e2s.base import meter
from e2s.base.errors import Refusal
from e2s.crypto.certificates import Certificate
from e2s.crypto.ports import Opener, Signer
from e2s.crypto.suites import OAEP, SignatureSuite, Transport, signature_suite_of
from e2s.security.keys.phrase import Phrase
from e2s.security.keys.pse import FRESH, OnceSigner
from e2s.security.smartcard import piv
from e2s.security.smartcard.directory import read_directory
from e2s.security.smartcard.host import CardHost, Way

_ALGORITHMS: Final = {"secp256r1": piv.P256, "secp384r1": piv.P384}


class CardPse:
    """The PSE on the card at the end of a way; made by :meth:`open`."""

    def __init__(
        self,
        host: CardHost,
        certificates: Mapping[str, tuple[int, Certificate]],
        chain: tuple[Certificate, ...],
    ) -> None:
        """Use :meth:`open`."""
        self._host = host
        self._keys = dict(certificates)
        self._chain = chain
        self._one = threading.Lock()
        self._closed = False

    @classmethod
    def open(cls, way: Way, pin: Phrase | None = None) -> CardPse:
        """The card's PSE; without ``pin`` only its certificates can be read.

        Raises :class:`Refusal` ``wrong-pin`` with the tries left, ``card-blocked``, ``card-removed``,
        ``no-piv``, ``bad-card``.
        """
        host = CardHost(way)
        try:
            directory = read_directory(host.object(piv.DIRECTORY))
            found = {label: (slot, host.certificate(slot)) for label, slot in directory.slots.items()}
            keys = {label: (slot, Certificate.read(der)) for label, (slot, der) in found.items() if der}
            if pin is not None:
                host.verify(pin)
        except BaseException:
            host.close()
            raise
        return cls(host, keys, directory.chain)

    @property
    def serial(self) -> bytes:
        """Which card it is."""
        with self._one:
            return self._used().serial()

    def labels(self) -> tuple[str, ...]:
        """The labels of the keys that have a certificate."""
        self._used()
        return tuple(self._keys)

    def certificate(self, label: str) -> Certificate:
        """The key's certificate; raises :class:`Refusal` ``no-such-key``."""
        return self._key(label)[1]

    def chain(self, label: str) -> tuple[Certificate, ...]:
        """The certificates of its issuers, as far as the card has them."""
        self._key(label)
        return self._chain

    def signer(self, label: str, phrase: Phrase | None = None) -> Signer:
        """A signer; of a fresh label good for one signature, for which the PIN is given."""
        slot, certificate = self._key(label)
        _algorithm(certificate)
        if label not in FRESH and slot != piv.SIGNATURE:
            return _CardSigner(self, slot, certificate, None)
        if phrase is None:
            raise Refusal("pass-phrase-needed", "each signature with this key needs the PIN", label=label)
        return OnceSigner(_CardSigner(self, slot, certificate, phrase))

    def opener(self, label: str) -> Opener:
        """An opener of what was sealed to this key."""
        slot, certificate = self._key(label)
        if label in FRESH or slot == piv.SIGNATURE:
            raise Refusal("wrong-key-use", "this key only signs", label=label)
        _algorithm(certificate)
        return _CardOpener(self, slot, certificate)

    def close(self) -> None:
        """Leave the card, which forgets the PIN."""
        self._closed = True
        self._host.close()

    def using(self) -> AbstractContextManager[CardHost]:
        """The card, for one user at a time within a ``with`` block."""
        return _Using(self._one, self._used())

    def _used(self) -> CardHost:
        if self._closed:
            raise Refusal("pse-closed", "the personal security environment was closed")
        return self._host

    def _key(self, label: str) -> tuple[int, Certificate]:
        self._used()
        found = self._keys.get(label)
        if found is None:
            raise Refusal("no-such-key", "there is no key of this label", label=label)
        return found


class _Using:
    """One use of the card."""

    def __init__(self, one: threading.Lock, host: CardHost) -> None:
        self._one, self._host = one, host

    def __enter__(self) -> CardHost:
        self._one.acquire()
        return self._host

    def __exit__(self, *_: object) -> None:
        self._one.release()


class _CardSigner:
    """A :class:`~e2s.crypto.ports.Signer` on a key of the card."""

    chain: tuple[Certificate, ...]

    def __init__(self, pse: CardPse, slot: int, certificate: Certificate, pin: Phrase | None) -> None:
        self._pse, self._slot, self._pin = pse, slot, pin
        self.certificate = certificate
        self.chain = pse._chain  # noqa: SLF001 - of this module
        self.suite: SignatureSuite = signature_suite_of(certificate.public_key)
        self._algorithm = _algorithm(certificate)

    def sign(self, data: bytes) -> bytes:
        """The signature over ``data``."""
        meter.count("sign")
        digest: bytes = self.suite.digest(data).digest()
        with self._pse.using() as host:
            if self._pin is not None:
                host.verify(self._pin)
            return host.sign(self._slot, self._algorithm, digest)


class _CardOpener:
    """An :class:`~e2s.crypto.ports.Opener` on a key of the card, which agrees."""

    def __init__(self, pse: CardPse, slot: int, certificate: Certificate) -> None:
        self._pse, self._slot = pse, slot
        self.certificate = certificate
        self._algorithm = _algorithm(certificate)

    def agree(self, peer_spki: bytes) -> bytes:
        """The shared secret; the card checks that the point is on its curve."""
        try:
            peer = load_der_public_key(peer_spki)
        except (ValueError, UnsupportedAlgorithm) as error:
            raise Refusal("invalid-point", "the peer's key is not a point on the curve") from error
        own = self.certificate.public_key
        if not isinstance(peer, ec.EllipticCurvePublicKey) or peer.curve.name != own.curve.name:  # type: ignore[union-attr]  # an EC key's
            raise Refusal("wrong-key", "the peer's key is on another curve")
        meter.count("agree")
        point = peer.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        with self._pse.using() as host:
            return host.agree(self._slot, self._algorithm, point)

    def decapsulate(self, ciphertext: bytes) -> bytes:
        """Refused: no card encapsulates."""
        raise _wrong(len(ciphertext))

    def unwrap(self, wrapped: bytes, transport: Transport = OAEP) -> bytes:
        """Refused: the key agrees."""
        del transport
        raise _wrong(len(wrapped))

    def unwrap_old(self, wrapped: bytes, size: int) -> bytes:
        """Refused: the key agrees."""
        del size
        raise _wrong(len(wrapped))


def _wrong(size: int) -> Refusal:
    return Refusal("wrong-key", "this key agrees, and does nothing else", size=size)


def _algorithm(certificate: Certificate) -> int:
    """The card's algorithm of a key; raises :class:`Refusal` ``suite-unknown`` for RSA, which tokens do."""
    key = certificate.public_key
    found = _ALGORITHMS.get(key.curve.name) if isinstance(key, ec.EllipticCurvePublicKey) else None
    if found is None:
        raise Refusal("suite-unknown", "use a card's RSA key through its PKCS#11 module")
    return found
