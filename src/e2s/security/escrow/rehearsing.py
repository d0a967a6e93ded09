"""A rehearsal proves that officers can recover a key: a test key, by the same words, rules and tools.

Only what waiting would prove is left out.  The key is made for it, is nobody's, and is forgotten afterwards.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from e2s.base.errors import Refusal
from e2s.base.wire import Document
from e2s.crypto.certificates import Certificate, serial_number
from e2s.crypto.keys import spki_of
from e2s.crypto.ports import Opener
from e2s.security.certificates.certify import Wish, certify_root
from e2s.security.certificates.profiles import profile
from e2s.security.escrow.casefile import case_file
from e2s.security.escrow.cases import case_document, receipt_document, release, take
from e2s.security.escrow.deposits import deposit
from e2s.security.escrow.policy import DRILL
from e2s.security.escrow.recovering import package, recover
from e2s.security.escrow.vault import Vault
from e2s.security.keys.generation import generate

_SUITE: Final = "p256-sha256"


def start(
    vault: Vault, officer: str, recipient: Sequence[Certificate], sign: Callable[[Document], bytes]
) -> Document:
    """Deposit a test key and open a case for it; who starts a rehearsal also receives the key.

    Raises as :func:`~e2s.security.escrow.cases.take` does.
    """
    key = generate(_SUITE, vault.random)
    holder = f"{vault.signer.certificate.name}-rehearsal"
    wish = Wish(profile=profile("person-agreement"), names=(holder,), public_key=key.public_key())
    # Nobody believes it: a test key is certified by itself.
    standing = certify_root(wish, key, serial=serial_number(vault.random), at=vault.now())
    ident = deposit(vault, holder, standing, key, drill=True)
    said = case_document(
        vault, officer, [ident], recipient, number=DRILL, basis=DRILL, reason="a rehearsal", path="drill"
    )
    return take(vault, sign(said))


def finish(
    vault: Vault, officer: str, case: str, opener: Opener, sign: Callable[[Document], bytes]
) -> Document:
    """Recover the test key, compare it, forget it, and put that on record.

    Raises :class:`Refusal` ``wrong-path`` for a case that is no rehearsal, ``too-few-officers`` before enough
    have approved, and what is wrong with their shares.
    """
    file = case_file(vault, case)
    if file.row.path != "drill":
        raise Refusal("wrong-path", "this case is no rehearsal", case=file.row.short)
    release(vault, case)
    for found in recover(package(vault, case), opener):
        if found.wrong:
            sentence = "the shares of these officers are wrong"
            raise Refusal("wrong-share", sentence, officers=" ".join(found.wrong))
        if spki_of(found.key.public_key()) != found.certificate.spki:
            raise Refusal("key-mismatch", "another key was recovered than the one deposited")
    told = take(vault, sign(receipt_document(vault, officer, case)))
    with vault.database.transaction() as connection:
        facts = {"case": file.row.short, "officers": " ".join(one.officer for one in file.approvals)}
        vault.event(connection, "rehearsed", vault.now(), facts)
    return told
