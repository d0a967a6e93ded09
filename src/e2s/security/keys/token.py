"""Keys in a PKCS#11 token are generated there, never come out, and sign like any other.

The digest is made here and the token signs it (CKM_ECDSA, CKM_RSA_PKCS_PSS, CKM_RSA_PKCS), so that a
signature costs one short exchange whatever is signed.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Final

from e2s.base import meter
from e2s.base.errors import E2SError, Misuse, Refusal
from e2s.crypto.certificates import Certificate
from e2s.crypto.keys import spki_of
from e2s.crypto.kinds import PublicKey, SigningKey
from e2s.crypto.suites import SignatureSuite, check_suite, signature_suite, signature_suite_of
from e2s.security.keys.cryptoki import Login, TokenPlace, log_in, log_out
from e2s.security.keys.lent import lend
from e2s.security.keys.phrase import Phrase
from e2s.security.keys.token_objects import (
    GENERATED,
    Key,
    Use,
    check_kept,
    clear,
    flag,
    generate_pair,
    label_of,
    public_of,
    use_of,
)

__all__ = ["TokenKeys", "TokenPlace", "TokenSigner", "check_label", "open_token"]

MAX_LABEL_BYTES: Final = 64
#: What is signed to see whether a certificate is the key's: the beginning of no certificate, list or message.
_PROBE: Final = b"E2S: is this the key of the certificate?"


def check_label(label: str) -> None:
    """Raise :class:`Misuse` ``bad-label`` unless ``label`` is 1 to 64 octets of printable text."""
    if not 0 < len(label.encode()) <= MAX_LABEL_BYTES or not label.isprintable():
        raise Misuse("bad-label", "a key's label is 1 to 64 octets of printable text")


def open_token(place: TokenPlace, pin: Phrase) -> TokenKeys:
    """The keys of one token, until :meth:`TokenKeys.close`.

    Raises :class:`Refusal` ``wrong-pin``, ``pin-locked``, ``token-absent``, :class:`Misuse`
    ``no-token-library``, ``no-token-module``, ``bad-token-module`` or ``token-ambiguous``.
    """
    return TokenKeys(log_in(place, pin))


class TokenKeys:
    """The keys of one token; used by any number of threads of one process."""

    def __init__(self, login: Login) -> None:
        """Use :func:`open_token`."""
        self._login: Login | None = login

    def labels(self) -> tuple[str, ...]:
        """The labels of the private keys in the token, sorted; a key without one is left out."""
        pkcs11 = self._pkcs11
        wanted = {pkcs11.Attribute.CLASS: pkcs11.ObjectClass.PRIVATE_KEY}
        found = self._open().do(
            lambda session: [label_of(pkcs11, one) for one in session.get_objects(wanted)]
        )
        return tuple(sorted({label for label in found if label}))

    def generate(self, label: str, suite: str) -> PublicKey:
        """A new key pair in the token, its private half sensitive and not extractable; gives the public half.

        Raises :class:`Misuse` ``key-exists``, ``bad-label`` or ``suite-unknown``, :class:`Refusal`
        ``token-lacks-mechanism`` and ``token-key-exposed`` where the token would give the key away.
        """
        check_label(label)
        if suite not in GENERATED:
            raise Misuse("suite-unknown", "no token generates keys for this suite", suite=suite)
        pkcs11 = self._pkcs11
        self._open().write(lambda session: clear(pkcs11, session, label))
        try:
            self._open().write(lambda session: generate_pair(pkcs11, session, label, suite))
        except E2SError:
            with suppress(E2SError):
                self._open().write(lambda session: clear(pkcs11, session, label))
            raise
        try:
            self._open().do(lambda session: check_kept(pkcs11, self._find(session, label, private=True)))
        except E2SError:
            self.destroy(label)
            raise
        return self.public_key(label)

    def public_key(self, label: str) -> PublicKey:
        """The public half; raises ``no-such-key``, ``key-ambiguous`` or ``bad-token-key``."""
        pkcs11 = self._pkcs11
        return self._open().do(lambda session: public_of(pkcs11, self._find(session, label, private=False)))

    def signer(
        self,
        label: str,
        certificate: Certificate,
        chain: tuple[Certificate, ...] = (),
        suite: SignatureSuite | None = None,
    ) -> TokenSigner:
        """A signer in the name of ``certificate``, by its key's default suite if none is said.

        Raises :class:`Misuse` ``wrong-key`` unless one signature of the key proves that the certificate
        is for it, ``wrong-suite``, and :class:`Refusal` ``token-key-exposed``.
        """
        chosen = suite or signature_suite_of(certificate.public_key)
        check_suite(chosen, certificate.public_key, certificate.spki)
        if spki_of(self.public_key(label)) != certificate.spki:
            raise _wrong(label)
        self._open().do(lambda session: check_kept(self._pkcs11, self._key(session, label).object))
        use = self.use(label, chosen)
        proof = self.sign(use, _PROBE)
        if not chosen.verified(certificate.public_key, proof, _PROBE):
            raise _wrong(label)
        return TokenSigner(self, use, certificate, chain, chosen)

    def lent(self, label: str, suite: str | None = None) -> SigningKey:
        """The key as the library's builders take it, before it has a certificate (roots, requests)."""
        public = self.public_key(label)
        chosen = signature_suite(suite) if suite else signature_suite_of(public)
        check_suite(chosen, public, spki_of(public))
        return lend(public, _Voice(self, label, chosen))

    def destroy(self, label: str) -> None:
        """Destroy every key of this label, for good; raises :class:`Refusal` ``no-such-key``."""
        pkcs11 = self._pkcs11

        def destroying(session: Any) -> int:
            found = list(session.get_objects({pkcs11.Attribute.LABEL: label}))
            classes = (pkcs11.ObjectClass.PRIVATE_KEY, pkcs11.ObjectClass.PUBLIC_KEY)
            ours = [one for one in found if one.object_class in classes]
            for one in ours:
                one.destroy()
            return len(ours)

        if not self._open().write(destroying):
            raise _missing(label)

    def close(self) -> None:
        """Log out, unless others of this process go on; afterwards each use is refused: ``token-closed``."""
        login, self._login = self._login, None
        if login is not None:
            log_out(login)

    def sign(self, use: Use, data: bytes) -> bytes:
        """The signature of a key over ``data``, as X.509 and CMS have it."""
        return use.finish(self._answer(use, use.handed(data)))

    def sign_all(self, use: Use, data: Sequence[bytes]) -> list[bytes]:
        """The signatures of a key over each of ``data``.

        The token's own work drives ours out of the processor's caches, so all digests are made before it and
        all signatures written after it.
        """
        answers = [self._answer(use, octets) for octets in [use.handed(one) for one in data]]
        return [use.finish(one) for one in answers]

    def _answer(self, use: Use, octets: bytes) -> bytes:
        """What the token answers."""
        login = self._login or self._open()
        failed: Exception | None = None
        # The short way: the key is known on this session, and only the lock is before the module.
        with login.module.lock:
            known = use.known
            if known is not None and known.session is login.session and not known.asks:
                try:
                    short: bytes = known.object.sign(octets, **use.how)
                except login.module.pkcs11.PKCS11Error as error:
                    failed = error  # the long way says what it is, or mends it
                else:
                    return short

        def signing(session: Any) -> bytes:
            key = use.known = self._key(session, use.label)
            pin = login.authenticate() if key.asks else None
            signature: bytes = key.object.sign(octets, pin=pin, **use.how)
            return signature

        return login.do(signing, failed=failed)

    def use(self, label: str, suite: SignatureSuite) -> Use:
        """The key ``label`` by ``suite``, for :meth:`sign`."""
        return use_of(self._pkcs11, label, suite)

    @property
    def _pkcs11(self) -> Any:
        return self._open().module.pkcs11

    def _open(self) -> Login:
        if self._login is None:
            raise Refusal("token-closed", "the token was closed")
        return self._login

    def _key(self, session: Any, label: str) -> Key:
        found = self._find(session, label, private=True)
        return Key(session, found, flag(self._pkcs11, found, "ALWAYS_AUTHENTICATE"))

    def _find(self, session: Any, label: str, *, private: bool) -> Any:
        pkcs11 = self._pkcs11
        classes = pkcs11.ObjectClass
        wanted = {
            pkcs11.Attribute.CLASS: classes.PRIVATE_KEY if private else classes.PUBLIC_KEY,
            pkcs11.Attribute.LABEL: label,
        }
        found = list(session.get_objects(wanted))
        if not found:
            raise _missing(label)
        if len(found) > 1:
            raise Refusal("key-ambiguous", "several keys of the token have this label", label=label)
        return found[0]


class TokenSigner:
    """A :class:`~e2s.crypto.ports.Signer` whose key is in a token."""

    __slots__ = ("_keys", "_use", "certificate", "chain", "suite")

    def __init__(
        self,
        keys: TokenKeys,
        use: Use,
        certificate: Certificate,
        chain: tuple[Certificate, ...],
        suite: SignatureSuite,
    ) -> None:
        """Use :meth:`TokenKeys.signer`, which proves that they belong together."""
        self.certificate = certificate
        self.chain = chain
        self.suite = suite
        self._keys = keys
        self._use = use

    def sign(self, data: bytes) -> bytes:
        """The signature over ``data``; raises :class:`Refusal` ``token-...`` when the token does not sign."""
        meter.count("sign")
        return self._keys.sign(self._use, data)

    def sign_all(self, data: Sequence[bytes]) -> list[bytes]:
        """The signatures over each of ``data``, in their order, at less cost than each by itself."""
        meter.count("sign", len(data))
        return self._keys.sign_all(self._use, data)


class _Voice:
    """What a lent key asks: a suite and a way to sign."""

    __slots__ = ("_keys", "_use", "suite")

    def __init__(self, keys: TokenKeys, label: str, suite: SignatureSuite) -> None:
        self.suite = suite
        self._keys = keys
        self._use = keys.use(label, suite)

    def sign(self, data: bytes) -> bytes:
        meter.count("sign")
        return self._keys.sign(self._use, data)


def _missing(label: str) -> Refusal:
    return Refusal("no-such-key", "there is no key of this label", label=label)


def _wrong(label: str) -> Misuse:
    return Misuse("wrong-key", "the certificate is not for this key of the token", label=label)
