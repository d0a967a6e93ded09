r"""A sealed container: a pass phrase opens it, every octet of it is authenticated, and reading it is bounded.

``"E2SPSE1\n" ‖ len4(header) ‖ MAC ‖ sections``.  The header is a canonical document that names the
derivation and its cost, the salt, and each section's label, nonce and size.  One derivation gives
the sealing key and the key of the MAC over the header; each section is AES-256-GCM with the header's
digest and its own label as associated data.  A hostile file can cost no more than the bounds below.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from cryptography.exceptions import InvalidTag, UnsupportedAlgorithm
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from e2s.base import meter, wire
from e2s.base.errors import Misuse, Refusal
from e2s.security.keys.phrase import Phrase

MAGIC = b"E2SPSE1\n"
MAX_CONTAINER_BYTES = 512 * 1024
MAX_HEADER_BYTES = 16 * 1024
MAX_SECTIONS = 32
MAX_MEMORY_KIB = 32 * 1024
MAX_PASSES = 8
_TAG_BYTES = 16
_MAC_BYTES = 32
_NONCE_BYTES = 12
_SALT_BYTES = 16


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What one derivation costs: Argon2id (RFC 9106) or, where OpenSSL lacks it, scrypt (RFC 7914, r=8)."""

    kdf: str = "argon2id"
    memory_kib: int = 19 * 1024
    passes: int = 2

    def __post_init__(self) -> None:
        """Raises :class:`Refusal` ``kdf-bounds`` for a cost that nobody may impose on a reader."""
        if self.kdf not in {"argon2id", "scrypt"}:
            raise Refusal("kdf-bounds", "the key derivation is unknown", kdf=self.kdf)
        if not (8 <= self.memory_kib <= MAX_MEMORY_KIB and 1 <= self.passes <= MAX_PASSES):
            raise Refusal("kdf-bounds", "the derivation's cost is out of bounds", memory_kib=self.memory_kib)
        if self.kdf == "scrypt" and self.memory_kib & (self.memory_kib - 1):
            raise Refusal("kdf-bounds", "scrypt's cost is a power of two", memory_kib=self.memory_kib)

    def derive(self, phrase: Phrase, salt: bytes) -> bytes:
        """64 octets: the sealing key and the header's MAC key; metered as ``stretch``."""
        meter.count("stretch")
        if self.kdf == "argon2id":
            kdf = Argon2id(salt=salt, length=64, iterations=self.passes, lanes=1, memory_cost=self.memory_kib)
            return kdf.derive(phrase.octets)
        return Scrypt(salt=salt, length=64, n=self.memory_kib, r=8, p=self.passes).derive(phrase.octets)


def production_cost() -> Cost:
    """Argon2id with 19 MiB, or scrypt with 16 MiB where the OpenSSL at hand has no Argon2id."""
    try:
        Argon2id(salt=bytes(16), length=64, iterations=1, lanes=1, memory_cost=8)
    except UnsupportedAlgorithm:
        return Cost(kdf="scrypt", memory_kib=16 * 1024, passes=1)
    return Cost()


@dataclass(frozen=True)
class Unlocked:
    """The keys that one derivation gave; short-lived, never stored."""

    sealing: bytes = field(repr=False)
    mac: bytes = field(repr=False)


@dataclass(frozen=True)
class Container:
    """A container as read: its header is parsed and bounded, nothing of it is believed yet."""

    header: bytes
    mac: bytes
    cost: Cost
    salt: bytes
    sections: Mapping[str, tuple[bytes, bytes]] = field(repr=False)

    def unlock(self, phrase: Phrase) -> Unlocked:
        """One derivation; raises :class:`Refusal` ``wrong-pass-phrase`` (or the header was altered)."""
        derived = self.cost.derive(phrase, self.salt)
        keys = Unlocked(derived[:32], derived[32:])
        if not hmac.compare_digest(_mac(keys, self.header), self.mac):
            raise Refusal("wrong-pass-phrase", "the pass phrase does not open this file")
        return keys

    def open(self, keys: Unlocked, label: str) -> bytes:
        """The section's plaintext; raises :class:`Refusal` ``altered-pse`` when one bit of it changed."""
        if label not in self.sections:
            raise Refusal("no-such-key", "there is no section of this label", label=label)
        nonce, sealed = self.sections[label]
        try:
            return AESGCM(keys.sealing).decrypt(nonce, sealed, _associated(self.header, label))
        except InvalidTag as error:
            raise Refusal("altered-pse", "the file was altered after it was sealed", label=label) from error


def seal(
    sections: Mapping[str, bytes], phrase: Phrase, *, cost: Cost, random: Callable[[int], bytes]
) -> bytes:
    """The octets of a new container; a fresh salt each time, so no key ever seals twice."""
    salt = random(_SALT_BYTES)
    nonces = {label: random(_NONCE_BYTES) for label in sections}
    header = wire.encode(
        {
            "type": "e2s/1/pse",
            "kdf": cost.kdf,
            "memory": cost.memory_kib,
            "passes": cost.passes,
            "salt": wire.b64u(salt),
            "cipher": "aes-256-gcm",
            "sections": [
                {"label": label, "nonce": wire.b64u(nonces[label]), "size": len(plain) + _TAG_BYTES}
                for label, plain in sections.items()
            ],
        }
    )
    derived = cost.derive(phrase, salt)
    keys = Unlocked(derived[:32], derived[32:])
    aead = AESGCM(keys.sealing)
    body = b"".join(
        aead.encrypt(nonces[label], plain, _associated(header, label)) for label, plain in sections.items()
    )
    octets = MAGIC + wire.len4(header) + _mac(keys, header) + body
    if len(octets) > MAX_CONTAINER_BYTES or len(header) > MAX_HEADER_BYTES or len(sections) > MAX_SECTIONS:
        raise Misuse("too-large", "this is more than one container may hold", size=len(octets))
    return octets


def read(octets: bytes) -> Container:
    """Parse a container within bounds; raises :class:`Refusal` ``bad-pse``, ``too-large``, ``kdf-bounds``."""
    if len(octets) > MAX_CONTAINER_BYTES:
        raise Refusal("too-large", "the file is larger than a key container may be", size=len(octets))
    start = len(MAGIC) + 4
    if octets[: len(MAGIC)] != MAGIC or len(octets) < start:
        raise Refusal("bad-pse", "this is not a key container")
    size = int.from_bytes(octets[len(MAGIC) : start], "big")
    if size > MAX_HEADER_BYTES or len(octets) < start + size + _MAC_BYTES:
        raise Refusal("bad-pse", "the container is cut off")
    header = octets[start : start + size]
    document = wire.decode(header, MAX_HEADER_BYTES)
    body = start + size + _MAC_BYTES
    try:
        cost, salt, places = _header(document)
    except (KeyError, TypeError, AttributeError) as error:
        raise Refusal("bad-pse", "the header is not a key container's") from error
    sections: dict[str, tuple[bytes, bytes]] = {}
    for label, nonce, length in places:
        sections[label] = (nonce, octets[body : body + length])
        body += length
    if body != len(octets) or len(sections) != len(places):
        raise Refusal("bad-pse", "the sections are not what the header says")
    mac = octets[start + size : start + size + _MAC_BYTES]
    return Container(header=header, mac=mac, cost=cost, salt=salt, sections=sections)


def _header(document: wire.Document) -> tuple[Cost, bytes, list[tuple[str, bytes, int]]]:
    """The header's members, each of the right kind; raises anything of what :func:`read` catches."""
    names = {"type", "kdf", "memory", "passes", "salt", "cipher", "sections"}
    if set(document) != names or document["type"] != "e2s/1/pse" or document["cipher"] != "aes-256-gcm":
        raise Refusal("bad-pse", "the header is not a key container's")
    kdf, memory, passes = document["kdf"], document["memory"], document["passes"]
    if type(kdf) is not str or type(memory) is not int or type(passes) is not int:
        raise TypeError
    salt = wire.unb64u(document["salt"])
    places: list[tuple[str, bytes, int]] = []
    if len(salt) != _SALT_BYTES or len(document["sections"]) > MAX_SECTIONS:
        raise Refusal("bad-pse", "the header is not a key container's")
    for section in document["sections"]:
        label, nonce, size = section["label"], wire.unb64u(section["nonce"]), section["size"]
        if type(label) is not str or type(size) is not int or len(section) != 3:
            raise TypeError
        if len(nonce) != _NONCE_BYTES or not _TAG_BYTES <= size <= MAX_CONTAINER_BYTES:
            raise Refusal("bad-pse", "the sections are not what the header says")
        places.append((label, nonce, size))
    return Cost(kdf=kdf, memory_kib=memory, passes=passes), salt, places


def _mac(keys: Unlocked, header: bytes) -> bytes:
    return hmac.digest(keys.mac, MAGIC + header, "sha256")


def _associated(header: bytes, label: str) -> bytes:
    return hashlib.sha256(MAGIC + header).digest() + label.encode()
