"""What a policy's issuer wants said to who relies on a certificate: a notice, or where its statement stands.

RFC 5280, 4.2.1.4: qualifiers are shown, never judged.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, NamedTuple

from cryptography import x509


class Notice(NamedTuple):
    """A qualifier of ``policy``: the ``text`` of a user notice, or the URI of a practice ``statement``.

    ``organisation`` and ``numbers`` refer to notices that the organisation published.
    """

    policy: str
    text: str = ""
    statement: str = ""
    organisation: str = ""
    numbers: tuple[int, ...] = ()


#: Of a certificate whose policies have no qualifiers.
NO_NOTICES: Final[Mapping[str, tuple[Notice, ...]]] = MappingProxyType({})


def notices_of(policies: x509.CertificatePolicies) -> Mapping[str, tuple[Notice, ...]]:
    """The notices of each policy that has any."""
    found: dict[str, tuple[Notice, ...]] = {}
    for information in policies:
        if information.policy_qualifiers:
            policy = information.policy_identifier.dotted_string
            found[policy] = tuple(_notice(policy, one) for one in information.policy_qualifiers)
    return found or NO_NOTICES


def _notice(policy: str, qualifier: str | x509.UserNotice) -> Notice:
    if isinstance(qualifier, str):
        return Notice(policy, statement=qualifier)
    reference = qualifier.notice_reference
    return Notice(
        policy,
        text=qualifier.explicit_text or "",
        organisation=(reference.organization or "") if reference is not None else "",
        numbers=tuple(reference.notice_numbers) if reference is not None else (),
    )
