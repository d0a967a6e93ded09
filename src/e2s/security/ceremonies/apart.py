"""Root and CA on two machines: a request goes to the root, and a folder of public files comes back.

The CA's key waits where it was made.  Nothing that travels is secret; what comes back is believed for the
root's signatures, and the root for its fingerprint, which comes another way.
"""

from __future__ import annotations

from pathlib import Path

from e2s.base.errors import Misuse, Refusal
from e2s.crypto.certificates import Certificate
from e2s.crypto.suites import signature_suite_of
from e2s.security.ceremonies.ceremony import NewCa, certify_ca
from e2s.security.ceremonies.folder import ROOT_LIST, Setting, copy_records, open_folder_key, publish_own
from e2s.security.ceremonies.occasion import PLAIN, Occasion
from e2s.security.ceremonies.recovery import limits_of, names_of
from e2s.security.ceremonies.root import Root
from e2s.security.ceremonies.standalone import Look, is_founded, look
from e2s.security.certificates.certify import read_request, request
from e2s.security.keys.durable import replace_file
from e2s.security.keys.phrase import Phrase
from e2s.security.keys.where import make_key
from e2s.security.pki.holdings import Holding


def prepare(folder: Path, phrase: Phrase, name: str, *, setting: Setting) -> bytes:
    """Make a CA's key in ``folder`` and a PKCS #10 request for it, DER; the same key when repeated.

    Raises :class:`Misuse` ``key-exists`` or ``key-waits``.
    """
    key = make_key(folder, setting.where, phrase, setting.suite, random=setting.random, cost=setting.cost)
    try:
        return request(key.key, (name,))
    finally:
        key.close()


def certify_apart(root: Root, octets: bytes, wanted: NewCa, target: Path, *, officer: str) -> Certificate:
    """Certify the request's key in a ceremony; ``target`` gets what the CA's machine needs, all public.

    Raises :class:`Refusal` ``bad-request`` or ``no-possession``, and as
    :func:`~e2s.security.ceremonies.ceremony.certify_ca`.
    """
    certificate = certify_ca(root, read_request(octets), wanted, officer=officer)
    _give(root, certificate, target)
    return certificate


def renew_apart(
    root: Root, old: Holding, target: Path, *, officer: str, occasion: Occasion = PLAIN
) -> Certificate:
    """Certify a CA's key again in a ceremony, before its certificate ends; ``target`` as before.

    Raises :class:`Refusal` ``revoked`` for one that was withdrawn.
    """
    if old.state not in {"good", "expired"}:
        raise Refusal("revoked", "what was withdrawn is not renewed", state=old.state)
    known = old.certificate
    component = root.chain.certified(known).component
    with root.ceremony("renewing", officer=officer, present=occasion.present, note=occasion.note):
        certificate = root.issue(
            old.profile,
            known.public_key,
            names_of(known),
            officer=officer,
            component=component,
            subject=known.x509.subject,
            limits=limits_of(known),
        )
        root.crl()
    _give(root, certificate, target)
    return certificate


def _give(root: Root, certificate: Certificate, target: Path) -> None:
    """What the CA's machine needs of the root, all public."""
    publish_own(target, (certificate,), root.certificate)
    copy_records(root.folder, target, root.certificate)
    replace_file(target / ROOT_LIST, root.current_crl(), 0o644)


def install(folder: Path, phrase: Phrase, brought: Path, fingerprint: str, *, setting: Setting) -> Look:
    """Give the key in ``folder`` what was ``brought`` from the root of that ``fingerprint``.

    Repeated after a kill it goes on.  Raises :class:`Refusal` ``other-root``, :class:`Misuse`
    ``key-mismatch``, and for records that are not good.
    """
    seen = look(brought)
    if seen.root.id != fingerprint:
        raise Refusal("other-root", "these files come from another root", root=seen.root.id)
    if seen.kind == "root":
        raise Misuse("not-a-ca", "this folder holds a root's own files", folder=str(brought))
    if not is_founded(folder):
        _certified(folder, phrase, seen.own, setting)
        publish_own(folder, (seen.own,), seen.root)
        copy_records(brought, folder, seen.root)
    elif look(folder).own.spki != seen.own.spki:
        raise Misuse("key-mismatch", "the certificate is not for this private key", folder=str(folder))
    else:
        # the records first: so whoever is killed between has a CA that can be looked at
        copy_records(brought, folder, seen.root)
        _renewed(folder, phrase, seen, setting)
    replace_file(folder / ROOT_LIST, (brought / ROOT_LIST).read_bytes(), 0o644)
    return look(folder)


def _renewed(folder: Path, phrase: Phrase, seen: Look, setting: Setting) -> None:
    """Let the CA's key have its newer certificate, unless it has it."""
    if look(folder).own != seen.own:
        key = open_folder_key(folder, phrase)
        key.recertified(seen.own, (), phrase, random=setting.random)
        key.close()
        publish_own(folder, (seen.own,), seen.root)


def _certified(folder: Path, phrase: Phrase, own: Certificate, setting: Setting) -> None:
    """Let the waiting key have its certificate, unless it has it."""
    if (folder / "ca.pse").exists() or (folder / "ca.pem").exists():
        opened = open_folder_key(folder, phrase)
        known = opened.signer().certificate
        opened.close()
        if known != own:
            raise Misuse("ca-exists", "there already is a CA in this folder", folder=str(folder))
        return
    suite = signature_suite_of(own.public_key).name
    key = make_key(folder, setting.where, phrase, suite, random=setting.random, cost=setting.cost)
    key.certified(own).close()
