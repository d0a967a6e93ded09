"""What a certificate says about places, believed only where they lie at a repository that is known.

A certificate that anyone may send names any place; nobody is asked because of that (no request is forged by
one).  Known are the origins that the component was set up with, compared as scheme, host and port; one of
``ldap`` or ``ldaps`` is a directory, and the path behind it what RFC 4516 writes there.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Final

from cryptography import x509
from cryptography.x509.oid import AuthorityInformationAccessOID

from e2s.crypto.certificates import Certificate

_URL = re.compile(r"((?:http|ldap)s?://[A-Za-z0-9._:\[\]-]+)(/[!-\"$-~]*)", re.ASCII)
_MAX_URL: Final = 512
_MAX_PLACES: Final = 8
_DEFAULT_PORTS: Final = {"http": ":80", "https": ":443", "ldap": ":389", "ldaps": ":636"}


class KnownPlaces:
    """The repositories that are known, by their origins."""

    def __init__(self, origins: Iterable[str]) -> None:
        """``origins`` as ``http://host:port`` or ``ldap://host:port``."""
        self._origins = {_canonical(origin): origin for origin in origins}

    def place(self, url: str) -> tuple[str, str] | None:
        """The known origin and the path of ``url``; None where it lies anywhere else."""
        match = _URL.fullmatch(url) if len(url) <= _MAX_URL else None
        origin = self._origins.get(_canonical(match[1])) if match else None
        return (origin, match[2]) if match and origin is not None else None

    def lists(self, certificate: Certificate) -> Iterator[tuple[str, str]]:
        """Where the lists of its distribution points stand (RFC 5280, 4.2.1.13)."""
        return self._points(certificate.values.get(x509.CRLDistributionPoints, ()))

    def deltas(self, certificate: Certificate) -> Iterator[tuple[str, str]]:
        """Where the freshest lists stand (4.2.1.15)."""
        return self._points(certificate.values.get(x509.FreshestCRL, ()))

    def responders(self, certificate: Certificate) -> Iterator[tuple[str, str]]:
        """Where its status is answered (4.2.2.1)."""
        return self._accesses(certificate, AuthorityInformationAccessOID.OCSP)

    def issuers(self, certificate: Certificate) -> Iterator[tuple[str, str]]:
        """Where its issuer's certificate stands (4.2.2.1)."""
        return self._accesses(certificate, AuthorityInformationAccessOID.CA_ISSUERS)

    def _accesses(self, certificate: Certificate, method: x509.ObjectIdentifier) -> Iterator[tuple[str, str]]:
        for access in list(certificate.values.get(x509.AuthorityInformationAccess, ()))[:_MAX_PLACES]:
            if access.access_method == method:
                yield from self._known([access.access_location])

    def _points(self, points: Iterable[x509.DistributionPoint]) -> Iterator[tuple[str, str]]:
        """The known places of points that stand for the certificate's own issuer."""
        for point in list(points)[:_MAX_PLACES]:
            if point.crl_issuer is None:
                yield from self._known(point.full_name or ())

    def _known(self, names: Iterable[x509.GeneralName]) -> Iterator[tuple[str, str]]:
        for name in list(names)[:_MAX_PLACES]:
            place = self.place(name.value) if isinstance(name, x509.UniformResourceIdentifier) else None
            if place is not None:
                yield place


def _canonical(origin: str) -> str:
    """An origin as it is compared: small letters, and its port also where that goes without saying."""
    scheme, _, authority = origin.lower().partition("://")
    named = authority.rpartition(":")[2].isdigit() and not authority.endswith("]")
    return f"{scheme}://{authority}" if named else f"{scheme}://{authority}{_DEFAULT_PORTS.get(scheme, '')}"
