"""Name constraints (RFC 5280, 4.2.1.10): a CA so confined certifies within its subtrees or not at all.

A constraint of a form that cannot be processed here refuses every name of that form below it, and so does a
URI without a host where URIs are constrained.
"""

from __future__ import annotations

from typing import TypeAlias
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.x509.oid import NameOID

from e2s.crypto.certificates import Certificate
from e2s.security.verification.name_forms import form_of
from e2s.security.verification.traits import alternative_names

#: A name as (form, value); a mail address of the subject need not be a well-formed one.
_Name: TypeAlias = tuple[type, object]

#: How often a name is held against a subtree at most: both may come from strangers, thousands at a time.
MAX_COMPARED = 20_000

_FORMS = (
    x509.DirectoryName,
    x509.DNSName,
    x509.UniformResourceIdentifier,
    x509.RFC822Name,
    x509.IPAddress,
)


def violation(constraints: x509.NameConstraints, certificate: Certificate) -> str:
    """Why ``certificate`` lies outside ``constraints``, or the empty string."""
    permitted = constraints.permitted_subtrees or []
    excluded = constraints.excluded_subtrees or []
    unknown = {type(tree) for tree in (*permitted, *excluded)}.difference(_FORMS)
    try:
        names = _names(certificate)
    except (ValueError, TypeError):
        return "a subject that cannot be read, where names are constrained"
    if len(names) * (len(permitted) + len(excluded)) > MAX_COMPARED:
        return "more names and subtrees than are compared"
    for form, value in names:
        if form in unknown:
            return "a name where its form is constrained, which is not processed"
        rivals = [tree.value for tree in permitted if type(tree) is form]
        barred = [tree.value for tree in excluded if type(tree) is form]
        if (rivals or barred) and form is x509.UniformResourceIdentifier and not _host(str(value)):
            return "a URI without a host name, where URIs are constrained"
        if rivals and not any(_within(form, value, base) for base in rivals):
            return f"{_shown(value)} is in no permitted subtree"
        if any(_within(form, value, base, barred=True) for base in barred):
            return f"{_shown(value)} is in an excluded subtree"
    return ""


def comparisons(constraints: x509.NameConstraints, certificate: Certificate) -> int:
    """How often a name of ``certificate`` is held against a subtree at most."""
    trees = len(constraints.permitted_subtrees or ()) + len(constraints.excluded_subtrees or ())
    return trees * (2 + len(alternative_names(certificate)))


def outside_party(issuer: Certificate, certificate: Certificate) -> str:
    """Why a name lies outside the party of a confined CA, or the empty string.

    URNs have no host, so RFC 5280 cannot confine them; here a person's URN extends the party's own, which may
    stand beside it.
    """
    party = [name for name in issuer.names if name.startswith("urn:")]
    own = tuple(f"{name}:" for name in party)
    stray = [
        n for n in certificate.names if n.startswith("urn:") and n not in party and not n.startswith(own)
    ]
    return f"{stray[0]} is no name of the CA's party" if own and stray else ""


def _names(certificate: Certificate) -> list[_Name]:
    """All names that constraints apply to: the subject, its mail addresses, the alternative names."""
    subject = certificate.x509.subject
    names: list[_Name] = [(x509.DirectoryName, subject)] if subject.rdns else []
    mail = subject.get_attributes_for_oid(NameOID.EMAIL_ADDRESS)
    names.extend((x509.RFC822Name, str(attribute.value)) for attribute in mail)
    return [*names, *((type(name), name.value) for name in alternative_names(certificate))]


def _within(form: type, value: object, base: object, *, barred: bool = False) -> bool:
    """Whether ``value`` is in the subtree ``base`` of the same form; ``barred``: or may stand for what is."""
    if isinstance(value, x509.Name) and isinstance(base, x509.Name):
        # 7.1: names that say the same are one, however they are written
        tree = form_of(base.public_bytes())
        return form_of(value.public_bytes())[: len(tree)] == tree
    if form is x509.IPAddress:
        return value in base  # type: ignore[operator]
    name, limit = str(value), str(base)
    if form is x509.DNSName:
        return _in_zone(_bare(name), _bare(limit), barred=barred)
    if form is x509.RFC822Name and "@" in limit:
        return _mailbox(name, barred=barred) == _mailbox(limit, barred=barred)
    host = _bare(name.rpartition("@")[2]) if form is x509.RFC822Name else _bare(_host(name.lower()))
    limit = _bare(limit)
    return host.endswith(limit) if limit.startswith(".") else host == limit


def _in_zone(name: str, zone: str, *, barred: bool) -> bool:
    """Whether a host name is in the zone or, where that is barred, stands by a wildcard for one that is."""
    if zone in {"", name} or name.endswith("." + zone.removeprefix(".")):
        return True
    return barred and name.startswith("*.") and zone.endswith(name[1:])


def _mailbox(address: str, *, barred: bool) -> str:
    """An address as compared (7.5): the host in any case, the mailbox exactly unless it is ``barred``."""
    mailbox, _, host = address.rpartition("@")
    return f"{mailbox.lower() if barred else mailbox}@{_bare(host)}"


def _bare(host: str) -> str:
    """A host name as compared: in lower case, without the root's dot."""
    return host.lower().removesuffix(".")


def _host(uri: str) -> str:
    """The URI's host name; empty where there is none, or an address."""
    try:
        host = urlsplit(uri).hostname or ""
    except ValueError:
        return ""
    return "" if ":" in host or host.rpartition(".")[2].isdigit() else host


def _shown(value: object) -> str:
    return value.rfc4514_string() if isinstance(value, x509.Name) else str(value)
