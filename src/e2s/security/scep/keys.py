"""The keys of SCEP's door: one signs its answers, to the other requests are sealed (RFC 8894, 2.1.1).

Both are RSA whatever the CA's own key is, since SCEP knows nothing else; the CA certifies them.  They lie in
one sealed file, written before they are certified, so that a door that is opened again has the keys that its
clients know.  What was sealed under an older certificate of the same key still opens.  Where the setting lets
them, both work in processes of their own, so that SCEP does not hold up the doors beside it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final, cast

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_der_private_key,
)

from e2s.base import wire
from e2s.base.errors import E2SError, Refusal, Unreachable
from e2s.crypto.certificates import Certificate
from e2s.crypto.keys import KeySigner
from e2s.crypto.kinds import PrivateKey
from e2s.crypto.openers import KeyOpener
from e2s.crypto.opening_workers import OpeningWorkers
from e2s.crypto.ports import Opener, Signer
from e2s.crypto.suites import UNNAMED_RSA, SignatureSuite
from e2s.crypto.workers import SigningWorkers
from e2s.security.enrolment.setting import Certify, DoorSetting
from e2s.security.enrolment.storage import Storage
from e2s.security.keys.durable import replace_file
from e2s.security.keys.generation import generate

FILE: Final = "scep.keys"
PROFILES: Final = ("component", "component-agreement")
_SUITES: Final = ("rsa3072-pkcs1-sha256", "rsa-pkcs1-aes256cbc")
_NAME: Final = b"keys"
_MAX_FILE_BYTES: Final = 128 * 1024
_KEPT: Final = 3
#: A certificate is renewed when less than this part of its time is left.
_LEFT: Final = 3


@dataclass(frozen=True)
class DoorKeys:
    """``signer`` signs answers; each of ``openers`` opens under one certificate, the newest first."""

    signer: Signer
    openers: tuple[Opener, ...]

    @property
    def certificates(self) -> tuple[Certificate, ...]:
        """What clients are told: to verify with, and to seal to."""
        return self.signer.certificate, self.openers[0].certificate

    def is_due(self, now: datetime) -> bool:
        """Whether one of the two is to be renewed."""
        return any(
            now >= one.not_after - (one.not_after - one.not_before) / _LEFT for one in self.certificates
        )


@dataclass(frozen=True)
class _Renewed:
    """A signer whose key stays while its certificate is renewed."""

    certificate: Certificate
    chain: tuple[Certificate, ...]
    suite: SignatureSuite
    sign: Callable[[bytes], bytes]


class KeyRing:
    """Holds the door's keys: made at the first need, renewed in time; safe to share among threads."""

    def __init__(self, setting: DoorSetting) -> None:
        """Nothing is read before the first need."""
        self._setting = setting
        self._path: Path = setting.folder / FILE
        self._lock = threading.Lock()
        self._keys: DoorKeys | None = None
        self._workers: tuple[SigningWorkers, OpeningWorkers] | None = None

    def close(self) -> None:
        """End the processes that work with the keys."""
        with self._lock:
            workers, self._workers, self._keys = self._workers, None, None
        for one in workers or ():
            one.close()

    def keys(self) -> DoorKeys:
        """The keys; raises :class:`Refusal` ``no-door-keys`` where none can be certified."""
        found = self._keys
        if found is not None:
            return found
        with self._lock:
            if self._keys is None:
                self._keys = self._opened()
            return self._keys

    def tick(self, now: datetime) -> None:
        """Have certificates renewed that are due; one that fails is tried again at the next tick."""
        with self._lock:
            if self._keys is None or not self._keys.is_due(now):
                return
            pairs = self._read()
            if pairs is not None:
                self._keys = self._certified(pairs, renew=True)

    def _opened(self) -> DoorKeys:
        if self._setting.certify is None or not self._setting.storage:
            raise Refusal("no-door-keys", "this door has no keys of its own, and nobody certifies any")
        pairs = self._read()
        if pairs is None:
            random = self._setting.random
            pairs = [_Pair(generate(suite, random), []) for suite in _SUITES]
            self._write(pairs)
        return self._certified(pairs, renew=False)

    def _certified(self, pairs: list[_Pair], *, renew: bool) -> DoorKeys:
        certify = cast(Certify, self._setting.certify)
        now = self._setting.clock.now()
        for pair, profile in zip(pairs, PROFILES, strict=True):
            if pair.certificates and not renew and pair.certificates[0].not_after > now:
                continue
            name = self._setting.name or self._setting.component
            issued = certify(profile, (name,), pair.key.public_key())
            made = Certificate.read(issued.certificate)
            pair.certificates = [made, *pair.certificates][:_KEPT]
            pair.chain = [Certificate.read(one) for one in issued.chain]
            self._write(pairs)
        signing, sealing = pairs
        if not self._setting.workers:
            chain = tuple(signing.chain)
            signer = KeySigner(signing.certificates[0], chain, signing.key, suite=UNNAMED_RSA)
            return DoorKeys(signer, tuple(KeyOpener(one, sealing.key) for one in sealing.certificates))
        if self._workers is None:
            self._workers = self._started(signing, sealing)
        signs, opens = self._workers
        renewed = _Renewed(signing.certificates[0], tuple(signing.chain), UNNAMED_RSA, signs.sign)
        return DoorKeys(renewed, tuple(map(opens.under, sealing.certificates)))

    def _started(self, signing: _Pair, sealing: _Pair) -> tuple[SigningWorkers, OpeningWorkers]:
        count, chain = self._setting.workers, tuple(signing.chain)
        signs = SigningWorkers(signing.certificates[0], chain, signing.key, count=count, suite=UNNAMED_RSA)
        return signs, OpeningWorkers(sealing.key, count=count)

    @property
    def _storage(self) -> Storage:
        return Storage(self._setting.storage, "e2s/1/scep-keys", self._setting.random)

    def _write(self, pairs: list[_Pair]) -> None:
        octets = wire.encode({"keys": [pair.document() for pair in pairs]})
        try:
            replace_file(self._path, self._storage.seal(_NAME, octets))
        except OSError as error:
            raise Unreachable("disk-full", "the door's keys could not be kept") from error

    def _read(self) -> list[_Pair] | None:
        if not self._path.exists():
            return None
        with self._path.open("rb") as file:
            sealed = file.read(_MAX_FILE_BYTES + 1)
        return read_keys(self._storage.open(_NAME, sealed))


class _Pair:
    """A private key and its certificates, the newest first."""

    def __init__(
        self, key: PrivateKey, certificates: list[Certificate], chain: list[Certificate] | None = None
    ) -> None:
        self.key = key
        self.certificates = certificates
        self.chain = chain or []

    def document(self) -> wire.Document:
        octets = self.key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
        return {
            "key": wire.b64u(octets),
            "certificates": [wire.b64u(one.der) for one in self.certificates],
            "chain": [wire.b64u(one.der) for one in self.chain],
        }


def _load(octets: bytes) -> Any:
    """A key as it was written here: its numbers need not be tried again."""
    return load_der_private_key(octets, None, unsafe_skip_rsa_key_validation=True)


def read_keys(octets: bytes) -> list[_Pair]:
    """The keys of an opened file; raises :class:`Refusal` ``bad-door-keys``."""
    try:
        rows: list[dict[str, Any]] = wire.decode(octets)["keys"]
        pairs = [
            _Pair(
                cast(PrivateKey, _load(wire.unb64u(row["key"]))),
                [Certificate.read(wire.unb64u(one)) for one in row["certificates"]],
                [Certificate.read(wire.unb64u(one)) for one in row["chain"]],
            )
            for row in rows
        ]
    except (KeyError, TypeError, ValueError, AttributeError, UnsupportedAlgorithm, E2SError) as error:
        raise Refusal("bad-door-keys", "the file does not hold the keys of this door") from error
    if len(pairs) != len(PROFILES):
        raise Refusal("bad-door-keys", "the file does not hold the keys of this door")
    return pairs
