"""What is to be certified, before an issuer, a serial and an instant are chosen."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from cryptography import x509

from e2s.base.errors import Misuse
from e2s.crypto import oids
from e2s.crypto.keys import spki_of
from e2s.crypto.kinds import PublicKey
from e2s.security.pki.names import subject_octets, subject_of
from e2s.security.pki.profile import NO_LIMITS, Limits, Profile


@dataclass(frozen=True, kw_only=True)
class Wish:
    """A key under ``names`` (the first one gives the subject, if none is given) for a profile.

    ``confidence`` is a level other than the profile's own; ``limits`` confine a CA further than its profile
    does.  ``spki`` is the key as a SubjectPublicKeyInfo, where it is at hand.
    """

    profile: Profile
    names: tuple[str, ...]
    public_key: PublicKey
    pan_commit: bytes | None = None
    subject: x509.Name | None = None
    not_after: datetime | None = None
    confidence: str | None = None
    limits: Limits = NO_LIMITS
    spki: bytes = field(default=b"", repr=False)

    def __post_init__(self) -> None:
        """Raises :class:`Misuse` for a wish that fits no profile, :class:`Refusal` for a key that it bars."""
        profile = self.profile
        if profile.pan_commit != (self.pan_commit is not None):
            raise Misuse("pan-commit", "a card-holder's certificate, and no other, commits to a card number")
        if self.pan_commit is not None and len(self.pan_commit) != 32:
            raise Misuse("pan-commit", "the commitment has 32 octets")
        if not self.names and self.subject is None:
            raise Misuse("bad-name", "a certificate names its subject")
        if self.confidence is not None and (profile.is_ca or self.confidence not in oids.CONFIDENCE):
            raise Misuse(
                "bad-confidence", "an end entity's level is low, substantial or high", level=self.confidence
            )
        if self.limits is not NO_LIMITS and not profile.is_ca:
            raise Misuse("bad-limits", "only a CA is confined", profile=profile.name)
        profile.check_key(self.public_key)
        if not self.spki:
            object.__setattr__(self, "spki", spki_of(self.public_key))

    @property
    def distinguished_name(self) -> x509.Name:
        """The subject: as given, or as follows from the first name."""
        return self.subject if self.subject is not None else subject_of(self.names[0])

    @property
    def subject_der(self) -> bytes:
        """The same, DER."""
        return self.subject.public_bytes() if self.subject is not None else subject_octets(self.names[0])

    @property
    def policies(self) -> tuple[str, ...]:
        """The policies of the certificate: its level of confidence, the profile's, and the limits'."""
        profile, level = self.profile, self.confidence or self.profile.confidence
        own = (oids.CONFIDENCE[level], *profile.policies) if level else profile.policies
        # a CA that an order confines to policies is certified for those, and not for any
        return self.limits.policies or tuple(dict.fromkeys(own))

    @property
    def confines(self) -> Limits:
        """The limits of the profile, with those of the wish in their place or beside them."""
        own, more = self.profile.limits, self.limits
        if more is NO_LIMITS:
            return own
        return Limits(
            path_length=_least(own.path_length, more.path_length),
            policies=self.policies,
            mappings=tuple(dict.fromkeys((*own.mappings, *more.mappings))),
            permitted=tuple(dict.fromkeys((*own.permitted, *more.permitted))),
            excluded=tuple(dict.fromkeys((*own.excluded, *more.excluded))),
            require_explicit=_least(own.require_explicit, more.require_explicit),
            inhibit_mapping=_least(own.inhibit_mapping, more.inhibit_mapping),
            inhibit_any=_least(own.inhibit_any, more.inhibit_any),
        )


def _least(own: int | None, more: int | None) -> int | None:
    said = [count for count in (own, more) if count is not None]
    return min(said) if said else None
