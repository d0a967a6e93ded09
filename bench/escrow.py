"""What recovering a key costs its recipient, in openings of as many shares.

``escrow.recover`` is opening and checking five officers' shares, joining them and opening the key, in five times
the library's own agreement and unwrapping; ``escrow.approve`` is an officer's approval, with the rules asked anew,
durable and on record, in an opening, a sealing, a signature and a commit that do nothing else.
"""

from __future__ import annotations

import secrets
import statistics
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import sqlalchemy as sa
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.x963kdf import X963KDF
from cryptography.hazmat.primitives.keywrap import aes_key_unwrap, aes_key_wrap
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_public_key

from bench.figure import Figure, in_turn, seconds
from e2s.base.database import Database
from e2s.security.escrow import recovering
from tests.worlds.escrow import World
from tests.worlds.pki import make_pki

HERE = Path(__file__).parent
OFFICERS = 5


def rounds() -> Iterator[Figure]:
    disk = HERE.parent / "build"
    disk.mkdir(exist_ok=True)
    with TemporaryDirectory(dir=disk) as folder:
        world = World(Path(folder), make_pki(), keepers=OFFICERS, threshold=OFFICERS)
        case = world.released()
        package = recovering.package(world.vault, case)
        opener = world.lena.opener
        ratio, detail = in_turn(
            lambda: recovering.recover(package, opener), lambda: _times(OFFICERS, _bare), times=50
        )
        detail["officers"] = OFFICERS
        yield Figure(name="escrow.recover", value=ratio, limit=3.0, detail=detail)
        yield _approving(world, Path(folder))
        world.vault.database.close()


_KEY, _SENDER = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
_EPHEMERAL = _SENDER.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
_CONTENT, _NONCE, _INFO = secrets.token_bytes(32), secrets.token_bytes(12), secrets.token_bytes(32)
_SECRET = _SENDER.exchange(ec.ECDH(), _KEY.public_key())
_WRAPPED = aes_key_wrap(X963KDF(SHA256(), 32, _INFO).derive(_SECRET), _CONTENT)
_BOX = AESGCM(_CONTENT).encrypt(_NONCE, secrets.token_bytes(256), None)


def _bare() -> None:
    """One share opened by the library alone: the sender's key, agreement, derivation, unwrapping, decryption."""
    secret = _KEY.exchange(ec.ECDH(), load_der_public_key(_EPHEMERAL))
    wrapping = X963KDF(SHA256(), 32, _INFO).derive(secret)
    AESGCM(aes_key_unwrap(wrapping, _WRAPPED)).decrypt(_NONCE, _BOX, None)


def _times(many: int, act: Callable[[], object]) -> None:
    for _ in range(many):
        act()
