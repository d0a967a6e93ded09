"""What recovering a key costs its recipient, in openings of as many shares; and an officer's approval.

``escrow.recover`` is opening and checking five officers' shares, joining them and opening the key, in five
times the library's own opening of one.  ``escrow.approve`` is an officer's approval: her share taken out on
record, every rule of the case asked twice (by her tool and by the vault), the share opened and sealed to the
recipient, signed, taken and entered, in the library's opening, sealing, two signatures and two commits that
do nothing else.
"""

from __future__ import annotations

import secrets
import statistics
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.x963kdf import X963KDF
from cryptography.hazmat.primitives.keywrap import aes_key_unwrap, aes_key_wrap
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_public_key

from bench.figure import Figure, in_turn, seconds
from e2s.base.database import Database
from e2s.security.escrow import recovering, tables
from tests.worlds.escrow import World
from tests.worlds.pki import make_pki

HERE = Path(__file__).parent
OFFICERS, ROUNDS = 5, 12


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
_PLAIN = secrets.token_bytes(256)
_BOX = AESGCM(_CONTENT).encrypt(_NONCE, _PLAIN, None)


def _bare() -> None:
    """One share opened by the library alone: key, agreement, derivation, unwrapping, decryption."""
    secret = _KEY.exchange(ec.ECDH(), load_der_public_key(_EPHEMERAL))  # type: ignore[arg-type]  # it is on a curve
    wrapping = X963KDF(SHA256(), 32, _INFO).derive(secret)
    AESGCM(aes_key_unwrap(wrapping, _WRAPPED)).decrypt(_NONCE, _BOX, None)


def _approving(world: World, folder: Path) -> Figure:
    """Approvals of open cases, in turn with what they cannot do without."""
    world.clock.forward(days=1)
    database = Database.open(folder / "bare.sqlite", tables.TABLES)
    keepers = world.keepers[:OFFICERS]
    ours, bare = [], []
    ident = world.deposit()
    for _ in range(ROUNDS):
        case = world.open(ident)
        ours.append(seconds(partial(world.approve, case, *keepers), 1) / OFFICERS)
        bare.append(seconds(lambda: _approve_barely(world, database), OFFICERS))
    database.close()
    ratio = statistics.median(one / base for one, base in zip(ours, bare, strict=True))
    told = {"measured_us": 1e6 * statistics.median(ours), "base_us": 1e6 * statistics.median(bare)}
    return Figure(name="escrow.approve", value=ratio, limit=5.0, detail={**told, "rounds": ROUNDS})


def _approve_barely(world: World, database: Database) -> None:
    _bare()
    ephemeral = ec.generate_private_key(ec.SECP256R1())
    wrapping = X963KDF(SHA256(), 32, _INFO).derive(ephemeral.exchange(ec.ECDH(), _KEY.public_key()))
    octets = aes_key_wrap(wrapping, _CONTENT) + AESGCM(_CONTENT).encrypt(_NONCE, _PLAIN, None)
    for _ in range(2):
        signature = _KEY.sign(octets, ec.ECDSA(SHA256()))
        with database.transaction() as connection:
            tables.OUTBOX.put(connection, "audit", octets + signature, world.clock.at)


def _times(many: int, act: Callable[[], object]) -> None:
    for _ in range(many):
        act()
