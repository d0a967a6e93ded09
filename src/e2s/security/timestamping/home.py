"""An authority of its own in a folder: its key, its certificate, how it dates (``dating.toml``), its record.

The key is made first and waits for the certificate that a CA gives for its request.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from e2s.base.database import Database
from e2s.base.errors import Misuse, Refusal
from e2s.base.instants import Clock
from e2s.crypto import oids
from e2s.crypto.certificates import Certificate
from e2s.crypto.suites import signature_suite_of
from e2s.security.keys.durable import replace_file
from e2s.security.keys.phrase import Phrase
from e2s.security.keys.where import make_key, open_key, read_where
from e2s.security.timestamping import authority
from e2s.security.timestamping.authority import Dating, StampAuthority
from e2s.security.timestamping.synchronised import synchronised

LABEL: Final = "tsa"
RECORD: Final = "tsa.sqlite"
_DATING: Final = "dating.toml"
_MAX_FILE_BYTES: Final = 16 * 1024
_MEMBERS: Final = {"policies", "accuracy_ms", "ordering", "named", "synchronised"}


def write_dating(folder: Path, dating: Dating) -> None:
    """Put ``dating.toml`` into ``folder``."""
    values = {
        "policies": list(dating.policies),
        "accuracy_ms": dating.accuracy // timedelta(milliseconds=1),
        "ordering": dating.ordering,
        "named": dating.named,
        "synchronised": dating.sound is not None,
    }
    lines = [f"{name} = {json.dumps(value)}" for name, value in values.items()]
    replace_file(folder / _DATING, ("\n".join(lines) + "\n").encode(), 0o644)


def read_dating(folder: Path) -> Dating:
    """How the authority in ``folder`` dates; raises ``bad-dating``, or :class:`Misuse` ``no-tsa``."""
    path = folder / _DATING
    try:
        with path.open("rb") as file:
            octets = file.read(_MAX_FILE_BYTES)
    except OSError as error:
        raise Misuse("no-tsa", "there is no authority here: e2s tsa init", folder=str(folder)) from error
    try:
        return _dating(tomllib.loads(octets.decode()))
    except (ValueError, TypeError, KeyError, RecursionError, Misuse) as error:
        raise Refusal("bad-dating", "the file does not say how to date", path=str(path)) from error


def _dating(said: dict[str, Any]) -> Dating:
    """Raises anything of what :func:`read_dating` catches."""
    policies = said["policies"]
    switches = (said["ordering"], said["named"], said["synchronised"])
    if said.keys() != _MEMBERS or not all(type(one) is bool for one in switches):
        raise ValueError
    if not isinstance(policies, list) or not all(isinstance(one, str) for one in policies):
        raise ValueError
    return Dating(
        policies=tuple(policies),
        accuracy=timedelta(milliseconds=int(said["accuracy_ms"])),
        ordering=said["ordering"],
        named=said["named"],
        sound=synchronised if said["synchronised"] else None,
    )


def certified(
    folder: Path,
    secret: Phrase,
    certificate: Certificate,
    chain: Sequence[Certificate],
    *,
    random: Callable[[int], bytes],
) -> None:
    """Put the certificate of the waiting key on record.

    Raises :class:`Misuse` ``wrong-purpose``, ``key-waits`` or ``key-mismatch`` for another one's.
    """
    if certificate.ekus != {oids.EKU_TIME_STAMPING}:
        raise Misuse("wrong-purpose", "a time stamping authority's key does nothing else")
    suite = signature_suite_of(certificate.public_key).name
    where = read_where(folder)
    if not (folder / f"{LABEL}.pending").exists() and not (folder / "key.toml").exists():
        raise Misuse("no-tsa", "no key waits here for a certificate", folder=str(folder))
    key = make_key(folder, where, secret, suite, label=LABEL, random=random)
    try:
        key.certified(certificate, tuple(chain)).close()
    finally:
        key.close()


def open_home(
    folder: Path, secret: Phrase, *, clock: Clock, random: Callable[[int], bytes]
) -> tuple[StampAuthority, Callable[[], None]]:
    """The authority in ``folder``, and what closes it; raises what opening its key does."""
    dating = read_dating(folder)
    key = open_key(folder, secret, label=LABEL)
    try:
        stamps = StampAuthority(
            key.signer(),
            Database.open(folder / RECORD, authority.TABLES),
            component=LABEL,
            clock=clock,
            random=random,
            dating=dating,
        )
    except BaseException:
        key.close()
        raise

    def close() -> None:
        stamps.close()
        key.close()

    return stamps, close
