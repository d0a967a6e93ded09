"""A provider's user is one person here: rules give the local name, one to one, and never two for one.

A rule has a pattern for one form of name, with at most one ``*``, and the party and label that follow.  Two
rules that fit one certificate differently, two users that come to one name, and names that can be taken for
one another (:mod:`e2s.security.registration.naming`) are refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final

from cryptography import x509

from e2s.base.errors import Misuse, Refusal
from e2s.base.wire import len4
from e2s.crypto.certificates import Certificate
from e2s.security.registration.naming import check_label, name_key, urn

MAX_RULES: Final = 200
_MAX_PATTERN: Final = 200
_STAR: Final = "*"
_FORMS: Final = ("mail", "dns", "uri", "dir")
#: What stands for the star: letters, digits, points, hyphens, underscores.
_ANY: Final = "([A-Za-z0-9][A-Za-z0-9._-]{0,62})"
_NOT_LABEL: Final = re.compile(r"[._]+", re.ASCII)


@dataclass(frozen=True, kw_only=True)
class Rule:
    """``pattern`` (``mail:*@partner.example``) of users of ``provider`` gives ``party`` and ``label``."""

    provider: str
    pattern: str
    party: str
    label: str

    def __post_init__(self) -> None:
        """Raises :class:`Misuse` ``bad-rule`` for one that could not be one to one."""
        form, mark, value = self.pattern.partition(":")
        if not mark or form not in _FORMS or not value or len(self.pattern) > _MAX_PATTERN:
            raise _bad("a pattern is mail:, dns:, uri: or dir:, and a name", self.pattern)
        if value.count(_STAR) > 1 or self.label.count(_STAR) != value.count(_STAR):
            raise _bad("a pattern and its label have one star each, or none", self.pattern)
        if value.strip() == _STAR:
            raise _bad("a pattern says more than that there is a name", self.pattern)
        try:
            check_label(self.party, "party's name")
            check_label(self.label.replace(_STAR, "x"))
        except Refusal as refusal:
            raise _bad(refusal.message, self.label) from refusal

    def label_for(self, certificate: Certificate) -> str:
        """The label of a user whose certificate fits, or the empty string."""
        form, _, value = self.pattern.partition(":")
        before, star, after = value.partition(_STAR)
        wanted = re.compile(re.escape(before) + (_ANY if star else "") + re.escape(after), re.ASCII)
        found = {match for name in _names(certificate, form) if (match := wanted.fullmatch(name))}
        labels = {self.label.replace(_STAR, _label(match[1])) if star else self.label for match in found}
        if len(labels) > 1:
            raise Refusal("mapping-ambiguous", "the certificate has two names that fit", pattern=self.pattern)
        return min(labels, default="")


@dataclass(frozen=True, kw_only=True)
class Mapped:
    """Who a provider's user is here; ``identity`` means her there, whatever key she has."""

    provider: str
    party: str
    label: str
    identity: bytes

    def name(self, community: str) -> str:
        """The local name."""
        return urn(community, self.party, self.label)

    @property
    def key(self) -> str:
        """Equal for names that look alike."""
        return name_key(self.party, self.label)


def mapped(rules: Iterable[Rule], provider: str, certificate: Certificate) -> Mapped:
    """Who the holder of a certificate of ``provider``, which was found good, is here.

    Raises :class:`Refusal` ``not-mapped``, ``mapping-ambiguous`` or ``bad-name``.
    """
    found = {
        (rule.party, label)
        for rule in rules
        if rule.provider == provider and (label := rule.label_for(certificate))
    }
    if len(found) > 1:
        raise Refusal("mapping-ambiguous", "two rules give this user two names", provider=provider)
    if not found:
        raise Refusal("not-mapped", "no rule says who this user is here", provider=provider)
    party, label = next(iter(found))
    check_label(label)
    return Mapped(provider=provider, party=party, label=label, identity=identity_of(provider, certificate))


def identity_of(provider: str, certificate: Certificate) -> bytes:
    """What means one user of a provider: issuer and subject, or the alternative names where there is none."""
    subject = certificate.slices.subject
    if not certificate.x509.subject:
        extension = certificate.values.get(x509.SubjectAlternativeName)
        if extension is None:
            raise Refusal("bad-name", "the certificate names nobody")
        subject = extension.public_bytes()
    parts = (provider.encode(), certificate.slices.issuer, subject)
    return sha256(b"".join(map(len4, parts))).digest()


def rule_of(said: dict[str, Any], provider: str) -> Rule:
    """The rule in a record; raises :class:`Misuse` ``bad-rule``."""
    return Rule(provider=provider, **said)


def _names(certificate: Certificate, form: str) -> tuple[str, ...]:
    if form == "dir":
        return (certificate.subject,)
    if form == "dns":
        return certificate.dns
    if form == "uri":
        return certificate.names
    extension = certificate.values.get(x509.SubjectAlternativeName)
    return () if extension is None else tuple(extension.get_values_for_type(x509.RFC822Name))


def _label(found: str) -> str:
    """What the star stood for, as labels are written."""
    return _NOT_LABEL.sub("-", found.lower()).strip("-")


def _bad(why: str, what: str) -> Misuse:
    return Misuse("bad-rule", why, given=what[:80])
