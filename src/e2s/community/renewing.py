"""A component renews its own certificates when a third of their life is left, and goes on serving meanwhile.

It asks the authority's enrolment by CMP, signed by the key whose certificate runs out, for a newer one of the
same key.  What it has is the old certificate or the new one, whatever was killed: both are good, and a repeat
is given the one that there is already.  Keys of persons are theirs to renew (``e2s pse renew``).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Final, Protocol

from e2s.base.errors import E2SError, Misuse, Refusal
from e2s.base.http import Exchange, Handler, Request, Response
from e2s.community.place import Assembled, Place, Renewable
from e2s.crypto import oids
from e2s.crypto.certificates import Certificate, read_certificates
from e2s.crypto.keys import KeySigner, read_private_key
from e2s.crypto.kinds import PrivateKey
from e2s.crypto.ports import Signer
from e2s.security.certificates.certify import request
from e2s.security.cmp.client import CmpClient
from e2s.security.cmp.enrolled import Enrolled
from e2s.security.cmp.protection import Signed
from e2s.security.keys.durable import replace_file
from e2s.security.keys.phrase import phrase_from_file
from e2s.security.keys.software import SoftwarePse
from e2s.security.pki.renewals import due

KIND: Final = "enrolment"
#: Who was not answered, or refused, asks again after so long.
AGAIN: Final = timedelta(minutes=10)
_LOG: Final = logging.getLogger("e2s.renewing")


class Kept(Protocol):
    """Port: one key in the component's home, with the certificate that stands."""

    @property
    def name(self) -> str:
        """What it is called there."""

    @property
    def certificate(self) -> Certificate:
        """The certificate that stands."""

    @property
    def chain(self) -> tuple[Certificate, ...]:
        """Its issuers."""

    @property
    def ask(self) -> Callable[[Certificate], Certificate] | None:
        """Another way than CMP to the newer certificate."""

    def opened(self) -> tuple[PrivateKey, Signer]:
        """The key, and a signer under the certificate that stands."""

    def take(self, certificate: Certificate, chain: tuple[Certificate, ...]) -> None:
        """Keep the newer certificate durably, and use it from now on."""


class PseKey:
    """A key in the component's personal security environment."""

    def __init__(self, place: Place, label: str, renewable: Renewable) -> None:
        """``renewable`` is how the running component uses it."""
        self.name = label
        self.certificate, self.ask = renewable.certificate, renewable.ask
        self.chain = tuple(place.certificates(place.name, label)[1:])
        self._place, self._taken = place, renewable.taken

    def opened(self) -> tuple[PrivateKey, Signer]:
        """The key, and a signer under the certificate that stands."""
        phrase = phrase_from_file(self._place.home.phrase)
        try:
            pse = SoftwarePse.open(self._place.home.pse, phrase)
            key = pse.entries(phrase)[self.name].private_key
        finally:
            phrase.wipe()
        return key, pse.signer(self.name)

    def take(self, certificate: Certificate, chain: tuple[Certificate, ...]) -> None:
        """Rewrite the file, then let the component sign under the new certificate."""
        place = self._place
        phrase = phrase_from_file(place.home.phrase)
        try:
            pse = SoftwarePse.open(place.home.pse, phrase)
            pse.set_certificate(self.name, certificate, chain, phrase, random=place.random)
        finally:
            phrase.wipe()
        _publish(place, self.name, (certificate, *chain))
        self._taken(pse.signer(self.name))
        self.certificate, self.chain = certificate, chain


class TlsKey:
    """The key of the component's TLS server, in files that the server looks at."""

    name = "tls-server"
    ask = None

    def __init__(self, place: Place) -> None:
        """The files are those of the component's home."""
        self._place = place
        self.certificate, *chain = read_certificates(place.home.tls_certificate.read_bytes())
        self.chain = tuple(chain)

    def opened(self) -> tuple[PrivateKey, Signer]:
        """The key, and a signer under the certificate that stands."""
        key = read_private_key(self._place.home.tls_key.read_bytes())
        return key, KeySigner(self.certificate, self.chain, key)

    def take(self, certificate: Certificate, chain: tuple[Certificate, ...]) -> None:
        """Put the certificate in place; the server takes it by itself."""
        octets = b"".join(one.pem for one in (certificate, *chain))
        replace_file(self._place.home.tls_certificate, octets, 0o644)
        _publish(self._place, self.name, (certificate, *chain))
        self.certificate, self.chain = certificate, chain


class Renewing:
    """Renews what is due, at each tick."""

    def __init__(self, place: Place, kept: Sequence[Kept], exchange: Exchange, origin: str) -> None:
        """``exchange`` reaches the CMP door at ``origin``."""
        self._place, self._kept = place, tuple(kept)
        self._exchange, self._origin = exchange, origin
        self._trust = place.trust()
        self._not_before: dict[str, datetime] = {}

    def tick(self) -> None:
        """Renew each certificate of which a third or less is left; who is refused tries again later."""
        now = self._place.clock.now()
        for one in self._kept:
            if not due(one.certificate, now) or now < self._not_before.get(one.name, now):
                continue
            try:
                self._renew(one)
            except E2SError as error:
                self._not_before[one.name] = now + AGAIN
                _LOG.warning("%s of %s waits for its renewal: %s", one.name, self._place.name, error)

    def _renew(self, one: Kept) -> None:
        held = one.certificate
        certificate, chain = self._asked(one) if one.ask is None else (one.ask(held), one.chain)
        if certificate.not_after <= held.not_after:
            raise Refusal("renewal-waits", "the certificate that came is no newer")
        now = self._place.clock.now()
        self._trust.check_certificate(certificate, chain, purpose=None, name=None, at=now)
        one.take(certificate, chain)
        _LOG.info("%s of %s is good until %s", one.name, self._place.name, certificate.not_after)

    def _asked(self, one: Kept) -> tuple[Certificate, tuple[Certificate, ...]]:
        """What CMP gives for the key, signed by it."""
        key, signer = one.opened()
        client = CmpClient(
            exchange=self._exchange,
            origin=self._origin,
            protector=Signed(signer=signer),
            clock=self._place.clock,
            random=self._place.random,
            judge=self._judge,
        )
        held = one.certificate
        made = client.by_pkcs10(request(key, (*held.names, *held.dns, *held.ips)), held.spki)
        if not isinstance(made, Enrolled):
            raise Refusal("renewal-waits", "an officer has to say so first")
        return made.certificate, made.chain

    def _judge(self, certificate: Certificate, beside: Sequence[Certificate]) -> None:
        """The authority's component answers, and nobody else."""
        community = self._place.community
        self._trust.check_certificate(
            certificate,
            beside,
            purpose=oids.COMPONENT,
            name=community.urn(community.trust.authority),
            at=self._place.clock.now(),
        )


class _Own:
    """Sends to a handler in this process: enrolment renews its own key at its own door."""

    def __init__(self, handler: Handler) -> None:
        self._handler = handler

    def send(self, origin: str, request: Request) -> Response:  # noqa: ARG002 - there is one
        """The handler's answer."""
        return self._handler(request)


def renewing(place: Place, built: Assembled) -> Callable[[], None]:
    """The tick that renews what the component keeps; nothing where it reaches no enrolment."""
    own = place.component.kind == KIND
    origin = place.component.origin if own else next((one.origin for one in place.peers(KIND)), "")
    kept = list(_kept(place, built)) if origin else []
    if not kept:
        return lambda: None
    exchange: Exchange = _Own(built.handle) if own else place.exchange
    return Renewing(place, kept, exchange, origin).tick


def _kept(place: Place, built: Assembled) -> Iterator[Kept]:
    for label, renewable in built.renews.items():
        yield PseKey(place, label, renewable)
    if place.component.tls:
        try:
            yield TlsKey(place)
        except (OSError, Refusal) as error:
            raise Misuse(
                "bad-tls-files", "the TLS certificate cannot be read", component=place.name
            ) from error


def _publish(place: Place, label: str, chain: Sequence[Certificate]) -> None:
    """Let the community's folder have it where there is one: others find newer certificates there."""
    path = place.whole.public(place.name, label)
    if path.parent.is_dir():
        replace_file(path, b"".join(one.pem for one in chain), 0o644)
