"""CAs publish into static files beside them: their certificates once, and each list before it runs out."""

from __future__ import annotations

from e2s.base.http import Request, Response
from e2s.security.pki.ca import Authority
from e2s.security.repository.files import Repository
from e2s.security.repository.published import PublishedLists


class Publisher:
    """A repository kept up to date by one or more open CAs of the same process."""

    def __init__(self, repository: Repository, authorities: tuple[Authority, ...]) -> None:
        """Publishes the authorities' certificates and lists at once."""
        self.repository = repository
        self.authorities = authorities
        self._published = [PublishedLists(repository, authority.certificate) for authority in authorities]
        for authority in authorities:
            repository.publish_certificate(authority.certificate)
        self.tick()

    def handle(self, request: Request) -> Response:
        """GET of a file."""
        return self.repository.handle(request)

    def tick(self) -> None:
        """Publish each authority's lists, where there are newer ones."""
        for authority, published in zip(self.authorities, self._published, strict=True):
            published.take(authority.current_lists())

    def close(self) -> None:
        """Close the authorities."""
        for authority in self.authorities:
            authority.close()
