"""The component of a CA: it serves its certificates and lists as files, and never lets a list run out."""

from __future__ import annotations

from e2s.base.http import Request, Response
from e2s.crypto.certificates import Certificate
from e2s.security.pki.ca import Authority
from e2s.security.repository.files import Repository


class AuthorityService:
    """A repository kept up to date by one or more open CAs."""

    def __init__(self, repository: Repository, authorities: tuple[Authority, ...]) -> None:
        """Publishes the authorities' certificates and lists at once."""
        self.repository = repository
        self.authorities = authorities
        self._published: dict[Certificate, bytes] = {}
        for authority in authorities:
            repository.publish_certificate(authority.certificate)
        self.tick()

    def handle(self, request: Request) -> Response:
        """GET of a file."""
        return self.repository.handle(request)

    def tick(self) -> None:
        """Publish each authority's list, when there is a newer one."""
        for authority in self.authorities:
            crl = authority.current_crl()
            if self._published.get(authority.certificate) != crl:
                self.repository.publish_crl(authority.certificate, crl)
                self._published[authority.certificate] = crl

    def close(self) -> None:
        """Close the authorities."""
        for authority in self.authorities:
            authority.close()
