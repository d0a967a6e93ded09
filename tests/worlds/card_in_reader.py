"""Run among the judges of the card in a reader: our own side of PC/SC, and its keys through OpenSC's PKCS#11.

``python -m tests.worlds.card_in_reader PIN MODULE PID``: PID is the card's process, which is ended at last.
"""

from __future__ import annotations

import multiprocessing
import os
import secrets
import signal
import sys
import time
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from e2s.base.errors import E2SError, Refusal
from e2s.crypto import cms, oids
from e2s.security.keys.phrase import Phrase
from e2s.security.smartcard import attesting, piv, readers
from e2s.security.smartcard.card_pse import CardPse
from e2s.security.smartcard.directory import Directory
from e2s.security.smartcard.host import CardHost
from tests.worlds.card_process import USUAL
from tests.worlds.pki import START, make_pki

NAME = "urn:e2s:market:acme:ada"


def main(digits: str, module: str, card: int) -> None:
    pki = make_pki()
    (found,) = readers.cards()
    host = CardHost(readers.way_to(found.serial))
    host.manage(USUAL, piv.TDES, secrets.token_bytes)
    slots = {"session": 0x9A, "buyer": 0x9C, "agreement": 0x9D}
    chain: tuple[Any, ...] = ()
    for label, slot in slots.items():
        kind = {"session": "buyer-session", "buyer": "buyer", "agreement": "buyer-agreement"}[label]
        certificate, chain = pki.certify(kind, NAME, host.generate(slot, piv.P256))
        host.put(piv.SLOTS[slot].certificate, attesting.object_of(certificate.der))
    host.put(piv.DIRECTORY, Directory(slots=slots, chain=chain).encoded())
    try:
        readers.ReaderWay(found.reader)
    except E2SError as error:
        assert error.rule == "card-busy", error
    host.close()

    pse = CardPse.open(readers.way_to(found.serial), Phrase(digits))
    cms.check_signature(cms.read_signed(cms.sign(b"x", oids.DATA, pse.signer("session"), START)))
    cms.check_signature(
        cms.read_signed(cms.sign(b"x", oids.DATA, pse.signer("buyer", Phrase(digits)), START))
    )
    sealed = cms.seal(b"hello", oids.DATA, [pse.certificate("agreement")], secrets.token_bytes)
    assert cms.open_sealed(sealed, pse.opener("agreement"))[1] == b"hello"
    pse.close()
    print("signed and opened by PC/SC")

    # OpenSC keeps its hold of the card until its process ends
    apart = multiprocessing.get_context("fork").Process(target=through_pkcs11, args=(digits, module, pki))
    apart.start()
    apart.join()
    assert apart.exitcode == 0

    pse = CardPse.open(readers.way_to(found.serial), Phrase(digits))
    signer = pse.signer("session")
    signer.sign(b"x")
    os.kill(card, signal.SIGKILL)
    begin = time.monotonic()
    try:
        while True:
            signer.sign(b"x")
    except Refusal as refusal:
        print(f"drawn: {refusal.rule} after {time.monotonic() - begin:.3f} s", flush=True)
    pse.close()


def through_pkcs11(digits: str, module: str, pki) -> None:
    """OpenSC as any program uses it."""
    import pkcs11

    library = pkcs11.lib(module)
    (token,) = [slot.get_token() for slot in library.get_slots(token_present=True)]
    with token.open(user_pin=digits) as session:
        key: Any
        (key,) = session.get_objects(
            {pkcs11.Attribute.CLASS: pkcs11.ObjectClass.PRIVATE_KEY, pkcs11.Attribute.ID: b"\x01"}
        )
        (held,) = session.get_objects(
            {pkcs11.Attribute.CLASS: pkcs11.ObjectClass.CERTIFICATE, pkcs11.Attribute.ID: b"\x01"}
        )
        from cryptography import x509
        from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

        certificate = x509.load_der_x509_certificate(held[pkcs11.Attribute.VALUE])
        certificate.verify_directly_issued_by(pki.operating.x509)
        digest = hashes.Hash(hashes.SHA256())
        digest.update(b"an order")
        raw = key.sign(digest.finalize(), mechanism=pkcs11.Mechanism.ECDSA)
        r, s = (int.from_bytes(raw[place : place + 32], "big") for place in (0, 32))
        public = certificate.public_key()
        assert isinstance(public, ec.EllipticCurvePublicKey)
        public.verify(encode_dss_signature(r, s), b"an order", ec.ECDSA(hashes.SHA256()))
    print("signed by python-pkcs11")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
