"""Keys of authorities where they live: sealed in a file, or in a token with the certificate in a file beside.

A new key waits for its certificate as long as it must, in ``LABEL.pending`` or in its token.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, cast

from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_der_private_key,
)

from e2s.base.errors import Misuse, Refusal
from e2s.crypto.certificates import MAX_CERTIFICATE_BYTES, Certificate, read_certificates
from e2s.crypto.keys import spki_of
from e2s.crypto.kinds import PrivateKey, PublicKey, SigningKey, signing
from e2s.crypto.ports import Signer
from e2s.security.keys import container
from e2s.security.keys.container import Cost
from e2s.security.keys.durable import replace_file
from e2s.security.keys.generation import generate
from e2s.security.keys.key_place import InToken
from e2s.security.keys.phrase import Phrase
from e2s.security.keys.software import Entry, SoftwarePse
from e2s.security.keys.token import TokenKeys

_MAX_CHAIN: Final = 8
_SECTION: Final = "key"


@dataclass(frozen=True)
class FileKey:
    """A key in a sealed file."""

    pse: SoftwarePse
    label: str

    def signer(self) -> Signer:
        """Signs in the authority's name."""
        return self.pse.signer(self.label)

    def recertified(
        self,
        certificate: Certificate,
        chain: tuple[Certificate, ...],
        secret: Phrase,
        *,
        random: Callable[[int], bytes],
    ) -> None:
        """Seal the file anew, with another certificate of this key."""
        self.pse.set_certificate(self.label, certificate, chain, secret, random=random)

    def close(self) -> None:
        """Forget the key."""
        self.pse.close()


@dataclass(frozen=True)
class NewFileKey:
    """A key that waits in ``LABEL.pending``, sealed, until it is certified."""

    folder: Path
    label: str
    key: SigningKey = field(repr=False)
    secret: Phrase
    random: Callable[[int], bytes]
    cost: Cost

    @property
    def public_key(self) -> PublicKey:
        """The public half."""
        return cast(PublicKey, self.key.public_key())

    def certified(self, certificate: Certificate, chain: tuple[Certificate, ...] = ()) -> FileKey:
        """Seal the key with its certificate, and forget the waiting file; raises ``key-mismatch``."""
        entry = Entry(private_key=self.key, certificate=certificate, chain=chain)
        path, cost, random = self.folder / f"{self.label}.pse", self.cost, self.random
        pse = SoftwarePse.create(path, self.secret, {self.label: entry}, cost=cost, random=random)
        pending(self.folder, self.label).unlink()
        self.close()
        return FileKey(pse, self.label)

    def close(self) -> None:
        """Forget the phrase; the key waits on."""
        self.secret.wipe()


class TokenKey:
    """A key in a token; its certificate and chain in a file beside."""

    def __init__(
        self,
        folder: Path,
        keys: TokenKeys,
        where: InToken,
        label: str,
        certificate: Certificate,
        chain: tuple[Certificate, ...],
    ) -> None:
        self._path = folder / f"{label}.pem"
        self._keys = keys
        self._label = where.label
        self._signer: Signer = keys.signer(where.label, certificate, chain)

    def signer(self) -> Signer:
        """Signs in the authority's name."""
        return self._signer

    def recertified(
        self,
        certificate: Certificate,
        chain: tuple[Certificate, ...],
        secret: Phrase,  # noqa: ARG002  # the token is open
        *,
        random: Callable[[int], bytes],  # noqa: ARG002  # nothing is sealed
    ) -> None:
        """Replace the file of certificates; raises :class:`Misuse` ``wrong-key``."""
        made = self._keys.signer(self._label, certificate, chain)
        replace_file(self._path, b"".join(one.pem for one in (certificate, *chain)), 0o644)
        self._signer = made

    def close(self) -> None:
        """Close the token."""
        self._keys.close()


@dataclass(frozen=True)
class NewTokenKey:
    """A key that waits in its token."""

    folder: Path
    label: str
    keys: TokenKeys
    where: InToken
    suite: str

    @property
    def public_key(self) -> PublicKey:
        """The public half."""
        return self.keys.public_key(self.where.label)

    @property
    def key(self) -> SigningKey:
        """The key as the library's builders take it."""
        return self.keys.lent(self.where.label, self.suite)

    def certified(self, certificate: Certificate, chain: tuple[Certificate, ...] = ()) -> TokenKey:
        """Put the certificate beside; raises :class:`Misuse` ``key-mismatch``."""
        if spki_of(self.public_key) != certificate.spki:
            raise Misuse("key-mismatch", "the certificate is not for this private key")
        opened = TokenKey(self.folder, self.keys, self.where, self.label, certificate, chain)
        whole = b"".join(one.pem for one in (certificate, *chain))
        replace_file(self.folder / f"{self.label}.pem", whole, 0o644)
        return opened

    def close(self) -> None:
        """Close the token; the key waits on."""
        self.keys.close()


def pending(folder: Path, label: str) -> Path:
    """Where a key in a file waits."""
    return folder / f"{label}.pending"


def waiting_in_file(
    folder: Path, secret: Phrase, suite: str, label: str, random: Callable[[int], bytes], cost: Cost
) -> NewFileKey:
    """The key that waits in ``folder``, or a new one."""
    path = pending(folder, label)
    if path.exists():
        key = _read_pending(path, secret)
    else:
        key = signing(generate(suite, random))
        plain = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
        replace_file(path, container.seal({_SECTION: plain}, secret, cost=cost, random=random))
    return NewFileKey(folder, label, key, Phrase(secret.octets), random, cost)


def certificates_beside(path: Path) -> tuple[Certificate, tuple[Certificate, ...]]:
    """The certificate and its chain beside a token."""
    try:
        with path.open("rb") as file:
            octets = file.read(_MAX_CHAIN * MAX_CERTIFICATE_BYTES)
    except OSError as error:
        raise Misuse("not-certified", "the key has no certificate here yet", path=str(path)) from error
    first, *rest = read_certificates(octets)
    return first, tuple(rest)


def _read_pending(path: Path, secret: Phrase) -> SigningKey:
    sealed = container.read(path.read_bytes()[: container.MAX_CONTAINER_BYTES + 1])
    octets = sealed.open(sealed.unlock(secret), _SECTION)
    try:
        return signing(cast(PrivateKey, load_der_private_key(octets, None)))
    except (ValueError, TypeError) as error:
        raise Refusal("bad-pse", "the waiting key cannot be read") from error
