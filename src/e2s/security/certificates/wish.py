"""What is to be certified, before an issuer, a serial and an instant are chosen."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from cryptography import x509

from e2s.base.errors import Misuse
from e2s.crypto import oids
from e2s.crypto.keys import spki_of
from e2s.crypto.kinds import PublicKey
from e2s.security.certificates.names import subject_octets, subject_of
from e2s.security.certificates.profile import NO_LIMITS, Limits, Profile


@dataclass(frozen=True, kw_only=True, init=False)
class Wish:
    """A key under ``names`` (the first one gives the subject, if none is given) for a profile.

    ``confidence`` is a level other than the profile's own; ``limits`` confine a CA further than its profile
    does.  ``key_id`` is the key's identifier where another authority has given it one (RFC 5280, 4.2.1.2).
    ``spki`` is the key as a SubjectPublicKeyInfo, where it is at hand.
    """

    profile: Profile
    names: tuple[str, ...]
    public_key: PublicKey
    pan_commit: bytes | None
    subject: x509.Name | None
    not_after: datetime | None
    confidence: str | None
    limits: Limits
    spki: bytes
    key_id: bytes

    def __init__(
        self,
        *,
        profile: Profile,
        names: tuple[str, ...],
        public_key: PublicKey,
        pan_commit: bytes | None = None,
        subject: x509.Name | None = None,
        not_after: datetime | None = None,
        confidence: str | None = None,
        limits: Limits = NO_LIMITS,
        spki: bytes = b"",
        key_id: bytes = b"",
    ) -> None:
        """Raises :class:`Misuse` for a wish that fits no profile, :class:`Refusal` for a key that it bars."""
        if pan_commit is not None or profile.pan_commit:
            _check_commitment(profile, pan_commit)
        if not names and subject is None:
            raise Misuse("bad-name", "a certificate names its subject")
        if confidence is not None and (profile.is_ca or confidence not in oids.CONFIDENCE):
            raise Misuse(
                "bad-confidence", "an end entity's level is low, substantial or high", level=confidence
            )
        if (limits is not NO_LIMITS or key_id) and not profile.is_ca:
            raise Misuse("bad-limits", "only a CA is confined, or known elsewhere", profile=profile.name)
        profile.check_key(public_key)
        # as a dataclass's own constructor does, in one step instead of ten
        members = {
            "profile": profile,
            "names": names,
            "public_key": public_key,
            "pan_commit": pan_commit,
            "subject": subject,
            "not_after": not_after,
            "confidence": confidence,
            "limits": limits,
            "spki": spki or spki_of(public_key),
            "key_id": key_id,
        }
        object.__setattr__(self, "__dict__", members)

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
        """The policies of the certificate: its level of confidence, the profile's, and the limits'.

        Of a profile that states no level, certificates state none, whatever the order says.
        """
        profile = self.profile
        level = profile.confidence and (self.confidence or profile.confidence)
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


def _check_commitment(profile: Profile, commitment: bytes | None) -> None:
    if profile.pan_commit != (commitment is not None):
        raise Misuse("pan-commit", "a card-holder's certificate, and no other, commits to a card number")
    if commitment is not None and len(commitment) != 32:
        raise Misuse("pan-commit", "the commitment has 32 octets")


def _least(own: int | None, more: int | None) -> int | None:
    said = [count for count in (own, more) if count is not None]
    return min(said) if said else None
