"""One profile: what the certificates of one kind say, and what contradicts itself in that."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from enum import Enum
from typing import Final

from e2s.base.errors import Misuse, Refusal
from e2s.crypto import oids
from e2s.crypto.kinds import PublicKey
from e2s.crypto.suites import sealing_suites_of, signature_suites_of


class Use(Enum):
    """What the certified key does (RFC 5280, 4.2.1.3)."""

    CERTIFY = "certify"
    SIGN = "sign"
    AUTHENTICATE = "authenticate"
    AGREE = "agree"


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What confines a CA: its path length, its policies and their mappings, its subtrees of names.

    ``mappings`` are pairs of an issuer's policy and the subject's that counts for it (RFC 5280, 4.2.1.5).
    ``permitted`` and ``excluded`` are subtrees (4.2.1.10) as ``names.subtree`` reads them.
    ``require_explicit``, ``inhibit_mapping`` and ``inhibit_any`` count the certificates that may still follow
    before it holds (4.2.1.11, 4.2.1.14); None leaves it unsaid.
    """

    path_length: int | None = None
    policies: tuple[str, ...] = ()
    mappings: tuple[tuple[str, str], ...] = ()
    permitted: tuple[str, ...] = ()
    excluded: tuple[str, ...] = ()
    require_explicit: int | None = None
    inhibit_mapping: int | None = None
    inhibit_any: int | None = None


NO_LIMITS: Final = Limits()


@dataclass(frozen=True, kw_only=True)
class Profile:
    """One kind of certificate; ``path_length`` counts the CAs that may follow, ``issues`` names the rest.

    ``confidence`` is the level (:data:`e2s.crypto.oids.CONFIDENCE`) that a certificate has as a policy where
    the order says no other, beside ``policies``; None: they state none whatever the order says.
    ``four_eyes``: two officers approve it.  ``suites`` are those of the keys that are certified, any if
    there are none.  ``confined``: the CA certifies only subjects of its own party.
    """

    name: str
    use: Use
    lifetime: timedelta
    ekus: tuple[str, ...] = ()
    critical_ekus: bool = False
    path_length: int | None = None
    issues: frozenset[str] = frozenset()
    confined: bool = False
    pan_commit: bool = False
    confidence: str | None = None
    policies: tuple[str, ...] = ()
    four_eyes: bool = False
    suites: frozenset[str] = frozenset()
    ocsp_nocheck: bool = False
    mappings: tuple[tuple[str, str], ...] = ()
    permitted: tuple[str, ...] = ()
    excluded: tuple[str, ...] = ()
    require_explicit: int | None = None
    inhibit_mapping: int | None = None
    inhibit_any: int | None = None
    _hash: int = field(init=False, repr=False, compare=False, default=0)

    def __post_init__(self) -> None:
        """Raises :class:`Misuse` ``bad-profile`` for one that contradicts itself."""
        fault = self._fault()
        if fault:
            raise Misuse("bad-profile", fault, profile=self.name)
        members = (self.name, self.use, self.lifetime, self.ekus, self.confidence, self.policies)
        object.__setattr__(self, "_hash", hash(members))

    def __hash__(self) -> int:
        """Made once: templates are kept by profile."""
        return self._hash

    @property
    def is_ca(self) -> bool:
        """Whether the key certifies others."""
        return self.use is Use.CERTIFY

    @property
    def limits(self) -> Limits:
        """What the profile confines a CA to."""
        return Limits(**{member: getattr(self, member) for member in Limits.__dataclass_fields__})

    def check_key(self, key: PublicKey) -> None:
        """Raise :class:`Refusal` ``suite-unknown`` or ``key-not-permitted`` for a key that it bars."""
        named = sealing_suites_of(key) if self.use is Use.AGREE else signature_suites_of(key)
        if not named:
            what = "seals to" if self.use is Use.AGREE else "signs with"
            raise Refusal("suite-unknown", f"no suite {what} a key of this kind or size")
        if self.suites and self.suites.isdisjoint([suite.name for suite in named]):
            raise Refusal("key-not-permitted", "the profile certifies no key of this kind", profile=self.name)

    def _fault(self) -> str:
        """What contradicts itself, or the empty string."""
        limits = self.limits
        ca_only = (self.issues, self.confined, limits.mappings, limits.permitted, limits.excluded)
        counts = (self.path_length, self.require_explicit, self.inhibit_mapping, self.inhibit_any)
        checks = (
            (not self.is_ca and (any(ca_only) or any(c is not None for c in counts)), "only a CA has limits"),
            (any(c is not None and c < 0 for c in counts), "a number of certificates is not negative"),
            (self.lifetime <= timedelta(0), "a certificate is valid for some time"),
            (self.critical_ekus and not self.ekus, "no extended key usage is critical where none is said"),
            (len(set(self.ekus)) < len(self.ekus), "an extended key usage stands once"),
            (len(set(self.policies)) < len(self.policies), "a policy stands once"),
            (self.confidence not in {None, *oids.CONFIDENCE}, "a level is low, substantial or high"),
            (self.is_ca and self.confidence is not None, "a CA has no level of its own, but policies"),
            (
                oids.EKU_TIME_STAMPING in self.ekus and not (self.critical_ekus and len(self.ekus) == 1),
                "time stamping is the only purpose, and critical (RFC 3161, 2.3)",
            ),
            (
                self.ocsp_nocheck and oids.EKU_OCSP not in self.ekus,
                "only a responder is not asked about (RFC 6960, 4.2.2.2.1)",
            ),
            (
                any(oids.ANY_POLICY in pair for pair in self.mappings),
                "any policy is mapped nowhere (RFC 5280, 4.2.1.5)",
            ),
        )
        return next((sentence for broken, sentence in checks if broken), "")
