"""All that certificates of one issuer and profile share is encoded once; what differs is put in between.

Serial, validity, subject, key, alternative names and the list of its shard differ.  The first certificate of
a template is linted whole before it is signed, and so is every CA's; of the others, what differs.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from hashlib import sha1
from typing import Final

from e2s.base.errors import Misuse, Refusal
from e2s.base.instants import DELTA
from e2s.crypto import der
from e2s.crypto.certificates import Certificate
from e2s.crypto.der import header
from e2s.crypto.kinds import kind_of
from e2s.crypto.suites import SignatureSuite
from e2s.security.certificates import extensions, lint
from e2s.security.certificates.names import alternative_name, short_uri, subject_octets
from e2s.security.certificates.places import Places
from e2s.security.certificates.profile import Use
from e2s.security.certificates.wish import Wish
from e2s.security.verification.fetching import certificate_path, crl_path

#: A certificate counts from a little before its making: no party's clock is exact.
BACKDATED: Final = 2 * DELTA
_VERSION: Final = b"\xa0\x03\x02\x01\x02"
_EMPTY: Final = b"\x30\x00"
_MAX_TEMPLATES: Final = 256
_MAX_OTHERS: Final = 1024
#: So many octets of names have short lengths around them.
_MAX_SHORT: Final = 100
#: Keys that transport or encapsulate a content key (RFC 8813, RFC 9935, 5); the others agree on one.
_TRANSPORTS: Final = frozenset({"rsa", "ml-kem-768", "ml-kem-1024"})


class Template:
    """The octets that certificates of one issuer (None: themselves), profile and kind of key share."""

    def __init__(self, wish: Wish, issuer: Certificate | None, suite: SignatureSuite, places: Places) -> None:
        """For wishes like ``wish``: see :func:`template_of`."""
        name = wish.subject_der if issuer is None else issuer.slices.subject
        if name == _EMPTY:
            raise Misuse("bad-issuer", "an issuer has a subject")
        self._kept = (wish.profile, wish.limits, wish.confidence, suite)
        self._issuer, self._places = issuer, places
        key_id = wish.key_id or bytes(20)
        self._head = suite.signature_algorithm + name
        self._start = _start(wish.spki)
        # of an elliptic key also how its point is written
        written = self._start + (kind_of(wish.public_key.__class__) == "ec")
        self._key = wish.spki[:written]
        self._before = _before(wish) + extensions.subject_key_id(key_id)[: -len(key_id)]
        self._after = _after(wish, issuer, places)
        self._fixed = len(self._before) + len(key_id) + len(self._after)
        self._around = len(_VERSION) + len(key_id) + len(self._after)
        self._tails: dict[int | None, bytes] = {}
        self._befores: dict[int, bytes] = {}
        self._others: dict[str, bytes] = {}
        self._span: tuple[datetime | None, datetime | None, bytes] = (None, None, b"")
        self._whole = wish.profile.is_ca

    def serves(self, wish: Wish) -> bool:
        """Whether :func:`template_of` would give this one again, issuer and places being the same."""
        profile, limits, confidence, _suite = self._kept
        return (
            wish.profile is profile
            and wish.limits is limits
            and wish.confidence == confidence
            and not self._whole
            and wish.spki.startswith(self._key)
        )

    def tbs(self, wish: Wish, serial: int, at: datetime) -> bytes:
        """The linted TBSCertificate (RFC 5280, 4.1); raises :class:`Refusal` ``lint-...``."""
        names, places = wish.names, self._places
        subject = subject_octets(names[0]) if wish.subject is None else wish.subject_der
        tail = self._tails.get(serial % places.shards if places.shards > 1 else None)
        # alternative names are critical beside an empty subject: another shape than the template's first
        if tail is None or self._whole or subject == _EMPTY:
            return self._first(wish, serial, at, subject)
        return self._joined(wish, serial, at, subject, self._alternative(serial, subject, names), tail)

    def _first(self, wish: Wish, serial: int, at: datetime, subject: bytes) -> bytes:
        """The same, linted whole."""
        shard = self._places.shard(serial)
        tail = _tail(self._issuer, self._places, shard)
        names = [alternative_name(name) for name in wish.names]
        said = extensions.alternative_names(names, critical=subject == _EMPTY) if names else b""
        made = self._joined(wish, serial, at, subject, said, tail)
        lint.check(made, wish.profile, self._issuer)
        self._tails[shard] = tail
        return made

    def _joined(
        self, wish: Wish, serial: int, at: datetime, subject: bytes, said: bytes, tail: bytes
    ) -> bytes:
        """All parts in their places."""
        spki, start = wish.spki, self._start
        if not spki.startswith(self._key):
            raise Refusal("lint-key", "the key is not encoded like those of its kind (RFC 5280, 4.1.2.7)")
        key_id = wish.key_id or sha1(spki[start:], usedforsecurity=False).digest()
        if wish.pan_commit is not None:
            tail = extensions.pan_commit(wish.pan_commit) + tail
        span = self._span
        head = span[2] if span[0] == at and span[1] == wish.not_after else self._dated(wish, at)
        # nearly every serial has 128 bits, of which the first is set
        usual = serial >> 127 == 1
        number = b"\x02\x11\0" + serial.to_bytes(16, "big") if usual else der.integer(serial)
        size = len(said) + len(tail)
        before = self._befores.get(size)
        if before is None:
            before = self._befores[size] = _explicit(self._fixed + size) + self._before
        size += len(number) + len(head) + len(subject) + len(spki) + len(before) + self._around
        return b"".join(
            (
                header(0x30, size),
                _VERSION,
                number,
                head,
                subject,
                spki,
                before,
                key_id,
                said,
                self._after,
                tail,
            )
        )

    def _alternative(self, serial: int, subject: bytes, names: tuple[str, ...]) -> bytes:
        """The alternative names, linted with all else that differs.

        All but the first are those of few: an organisation, its shops.
        """
        content = short_uri(names[0]) if names else b""
        if not content or not lint.are_usual(serial, subject, content):
            content = alternative_name(names[0]) if names else b""
            lint.check_parts(serial, subject, content)
        for name in names[1:]:
            known = self._others.get(name)
            if known is None:
                known = alternative_name(name)
                lint.check_parts(serial, subject, known)
                if len(self._others) >= _MAX_OTHERS:
                    self._others.clear()
                self._others[name] = known
            if names.count(name) > 1:
                raise Refusal("lint-alternative-name", "an alternative name stands once (4.2.1.6)")
            content += known
        size = len(content)
        if not 0 < size <= _MAX_SHORT:
            return extensions.alternative_names((content,), critical=False) if size else b""
        # Extension, extnID, OCTET STRING, GeneralNames: short lengths throughout
        return _SHORT[size] + content

    def _dated(self, wish: Wish, at: datetime) -> bytes:
        """All from algorithm to validity, which is remembered, as many are certified in a second."""
        until = wish.not_after
        longest = at + wish.profile.lifetime
        latest = until or longest
        if latest > longest:
            raise Refusal("lint-validity", "it would be valid for longer than its profile says")
        if self._issuer is not None:
            latest = min(latest, self._issuer.not_after)
        if latest < at:
            raise Refusal("lint-validity", "the certificate would be over before it begins (4.1.2.5)")
        octets = self._head + der.sequence(der.time(at - BACKDATED), der.time(latest))
        self._span = (at, until, octets)
        return octets


_TEMPLATES: dict[tuple[object, ...], Template] = {}


def template_of(wish: Wish, issuer: Certificate | None, suite: SignatureSuite, places: Places) -> Template:
    """The template for such wishes, found by what is the same object; it holds all that it is found by."""
    profile, spki = wish.profile, wish.spki
    # a CA's own names are part of what it is confined to
    own = (wish.subject_der, wish.key_id) if profile.is_ca else ()
    found_by = (
        id(issuer),
        id(suite),
        id(profile),
        id(places),
        id(wish.limits),
        wish.confidence,
        len(spki),
        spki[:24],
        own,
    )
    template = _TEMPLATES.get(found_by)
    if template is None:
        if len(_TEMPLATES) >= _MAX_TEMPLATES:
            _TEMPLATES.clear()
        template = _TEMPLATES[found_by] = Template(wish, issuer, suite, places)
    return template


def _start(spki: bytes) -> int:
    """Where the octets of the key begin in a SubjectPublicKeyInfo."""
    reader = der.Reader(spki).enter()
    reader.span(der.SEQUENCE)
    key = reader.content(der.BIT_STRING)
    return len(spki) - len(key) + 1


def _before(wish: Wish) -> bytes:
    """The extensions before the key's identifier."""
    limits = wish.confines
    ca = wish.profile.is_ca
    basic = extensions.basic_constraints(ca=ca, path_length=limits.path_length)
    return basic + extensions.key_usage(_usage(wish))


def _usage(wish: Wish) -> int:
    """The bits of the key usage (4.2.1.3) that the profile's use is of this kind of key."""
    use = wish.profile.use
    if use is Use.CERTIFY:
        return extensions.KEY_CERT_SIGN | extensions.CRL_SIGN
    if use is Use.SIGN:
        return extensions.DIGITAL_SIGNATURE | extensions.CONTENT_COMMITMENT
    if use is Use.AUTHENTICATE:
        return extensions.DIGITAL_SIGNATURE
    transports = kind_of(wish.public_key.__class__) in _TRANSPORTS
    return extensions.KEY_ENCIPHERMENT if transports else extensions.KEY_AGREEMENT


def _after(wish: Wish, issuer: Certificate | None, places: Places) -> bytes:
    """The extensions after the alternative names."""
    profile, parts = wish.profile, []
    if profile.ekus:
        parts.append(extensions.extended_key_usage(profile.ekus, critical=profile.critical_ekus))
    if profile.ocsp_nocheck:
        parts.append(extensions.ocsp_nocheck())
    # an anchor's policies are those that its user trusts it for (6.1.1)
    if wish.policies and issuer is not None:
        parts.append(extensions.policies(wish.policies, places.cps))
    if profile.is_ca:
        parts.extend(_confining(wish))
    if issuer is not None:
        if issuer.key_id is None:
            raise Misuse("bad-issuer", "an issuer has a key identifier (RFC 5280, 4.2.1.2)")
        parts.append(extensions.authority_key_id(issuer.key_id))
        where = places.base and places.base + certificate_path(issuer.digest)
        # nobody asks a responder about the responder itself
        ocsp = "" if profile.ocsp_nocheck else places.ocsp
        if ocsp or where:
            parts.append(extensions.authority_info(ocsp=ocsp, issuer=where))
    return b"".join(parts)


def _confining(wish: Wish) -> Iterator[bytes]:
    """What confines a CA, beside its path length and policies."""
    limits = wish.confines
    permitted, excluded = extensions.subtrees(limits.permitted), extensions.subtrees(limits.excluded)
    if wish.profile.confined:
        permitted.insert(0, _own_subtree(wish.subject_der))
    if permitted or excluded:
        yield extensions.name_constraints(permitted, excluded)
    if limits.mappings:
        yield extensions.policy_mappings(limits.mappings)
    if limits.require_explicit is not None or limits.inhibit_mapping is not None:
        yield extensions.policy_constraints(limits.require_explicit, limits.inhibit_mapping)
    if limits.inhibit_any is not None:
        yield extensions.inhibit_any(limits.inhibit_any)


def _explicit(size: int) -> bytes:
    """What stands before extensions of so many octets: the tag of the field and of the sequence."""
    within = header(0x30, size)
    return header(0xA3, len(within) + size) + within


#: What stands before alternative names of so many octets, up to them.
_SHORT: Final = [
    extensions.alternative_names((bytes(size),), critical=False)[: -size or None]
    for size in range(_MAX_SHORT + 1)
]


def _tail(issuer: Certificate | None, places: Places, shard: int | None) -> bytes:
    """Where the lists are that the certificate may stand on."""
    if issuer is None or not places.base:
        return b""
    points = extensions.crl_point(places.base + crl_path(issuer, shard))
    if places.deltas:
        points += extensions.crl_point(places.base + crl_path(issuer, shard, delta=True), freshest=True)
    return points


def _own_subtree(subject: bytes) -> bytes:
    """Only subjects of the CA's own community and party."""
    rdns = der.Reader(subject).enter().elements(der.SET, 64)[:2]
    if len(rdns) < 2:
        raise Misuse("bad-name", "a confined CA belongs to a party of a community")
    return der.tlv(0xA4, der.sequence(*rdns))
