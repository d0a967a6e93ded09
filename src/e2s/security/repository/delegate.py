"""The key by which a repository answers for a CA keeps its certificate fresh: the CA gives it a newer one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from e2s.base import wire
from e2s.base.errors import Misuse, Refusal
from e2s.base.wire import b64u, unb64u
from e2s.crypto.certificates import Certificate, read_certificates
from e2s.crypto.ports import Signer
from e2s.crypto.suites import SignatureSuite
from e2s.security.keys.durable import replace_file
from e2s.security.verification.ocsp import is_delegated


class Delegate:
    """A signer under the newest certificate of its key (a ``Signer``)."""

    def __init__(self, signer: Signer, file: Path) -> None:
        """``file`` holds the newest certificate, where there is a newer one than the signer's own."""
        self._signer = signer
        self._file = file
        self._certificate = signer.certificate
        if file.exists():
            newer = read_certificates(file.read_bytes())[0]
            if newer.spki == signer.certificate.spki:
                self._certificate = newer

    @property
    def certificate(self) -> Certificate:
        """The newest certificate of the key."""
        return self._certificate

    @property
    def chain(self) -> tuple[Certificate, ...]:
        """Its issuers."""
        return self._signer.chain

    @property
    def suite(self) -> SignatureSuite:
        """How it signs."""
        return self._signer.suite

    def sign(self, data: bytes) -> bytes:
        """The signature over ``data``."""
        return self._signer.sign(data)

    def renew(self, ca: Certificate, ask: Callable[[bytes], bytes]) -> None:
        """Let ``ca`` give the key a newer certificate; ``ask`` reaches its door.

        Raises :class:`Refusal` ``bad-renewal`` for what is not one, and what the CA refuses.
        """
        answer = ask(wire.encode({"certificate": b64u(self._certificate.der)}))
        try:
            newer = Certificate.read(unb64u(wire.decode(answer)["certificate"]))
        except (KeyError, TypeError, AttributeError, Misuse) as error:
            raise Refusal("bad-renewal", "the CA's answer is not a certificate") from error
        if newer.spki != self._certificate.spki or not is_delegated(newer, ca):
            raise Refusal("bad-renewal", "the certificate is not for this key and purpose")
        replace_file(self._file, newer.pem, 0o644)
        self._certificate = newer
