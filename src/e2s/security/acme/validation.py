"""Who controls a host shows it there: by a file (RFC 8555, 8.3) or in a TLS handshake (RFC 8737, 3)."""

from __future__ import annotations

import hmac
import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from ipaddress import ip_address
from typing import Final, TypeAlias

from cryptography import x509

from e2s.base.errors import Refusal
from e2s.crypto import der
from e2s.crypto.certificates import Certificate
from e2s.security.acme.fetching import fetch
from e2s.security.acme.identifiers import Identifier
from e2s.security.acme.reach import Reach

HTTP: Final = "http-01"
TLS: Final = "tls-alpn-01"
KINDS: Final = (HTTP, TLS)
PATH: Final = "/.well-known/acme-challenge/"
PROTOCOL: Final = "acme-tls/1"
#: id-pe-acmeIdentifier (RFC 8737, 6.1).
ACME_IDENTIFIER: Final = "1.3.6.1.5.5.7.1.31"


@dataclass(frozen=True, kw_only=True)
class Proof:
    """What a challenge of ``kind`` asks of ``host``: that it shows ``authorisation`` for ``token``."""

    kind: str
    host: Identifier
    token: str
    authorisation: str


#: Raises :class:`Refusal` with what was wrong.
Validate: TypeAlias = Callable[[Proof], None]


def validator(reach: Reach, seconds: float = 10.0) -> Validate:
    """Validates by connections within ``reach``, each within ``seconds``."""
    ways: Mapping[str, Callable[[Reach, Proof, float], None]] = {HTTP: _by_file, TLS: _by_handshake}

    def validate(proof: Proof) -> None:
        ways[proof.kind](reach, proof, seconds)

    return validate


def _by_file(reach: Reach, proof: Proof, seconds: float) -> None:
    found = fetch(reach, proof.host.value, PATH + proof.token, seconds).rstrip()
    if not hmac.compare_digest(found, proof.authorisation.encode()):
        raise Refusal("wrong-answer", "the file is not what was to be in it", host=proof.host.value)


def _by_handshake(reach: Reach, proof: Proof, seconds: float) -> None:
    host, deadline = proof.host.value, time.monotonic() + seconds
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols([PROTOCOL])
    raw = reach.connect(host, reach.tls_port, deadline)
    try:
        raw.settimeout(max(deadline - time.monotonic(), 0.001))
        with context.wrap_socket(raw, server_hostname=server_name(proof.host)) as line:
            chosen, shown = line.selected_alpn_protocol(), line.getpeercert(binary_form=True) or b""
    except TimeoutError as error:
        raise Refusal("timed-out", "the host took too long", host=host) from error
    except (OSError, ValueError) as error:
        raise Refusal("bad-handshake", "the host did not finish the handshake", host=host) from error
    finally:
        raw.close()
    if chosen != PROTOCOL:
        raise Refusal("no-alpn", "the host does not answer by acme-tls/1", host=host)
    check_shown(shown, proof.host, proof.authorisation)


def server_name(host: Identifier) -> str:
    """What the handshake calls the host: an address as its name in the reverse zone (RFC 8738, 6)."""
    return host.value if host.kind == "dns" else ip_address(host.value).reverse_pointer


def check_shown(octets: bytes, host: Identifier, authorisation: str) -> None:
    """Refuse a certificate that is not of this host alone, or does not hold the authorisation's digest.

    Raises :class:`Refusal` ``wrong-certificate`` (RFC 8737, 3).
    """
    try:
        shown = Certificate.read(octets)
        names = list(shown.values.get(x509.SubjectAlternativeName, ()))
        wanted = x509.DNSName(host.value) if host.kind == "dns" else x509.IPAddress(ip_address(host.value))
        same = [_small(one) for one in names] == [_small(wanted)]
        held = [one.value.value for one in shown.critical if one.oid.dotted_string == ACME_IDENTIFIER]
        digest = _digest(held[0]) if len(held) == 1 else b""
    except Refusal as refusal:
        raise Refusal("wrong-certificate", "the certificate in the handshake cannot be read") from refusal
    if not same:
        raise Refusal("wrong-certificate", "the certificate names not this host alone", host=host.value)
    if not hmac.compare_digest(digest, sha256(authorisation.encode()).digest()):
        raise Refusal("wrong-certificate", "the certificate does not answer the challenge", host=host.value)


def _digest(extension: bytes) -> bytes:
    reader = der.Reader(extension)
    digest = reader.content(der.OCTET_STRING)
    reader.done()
    return digest


def _small(name: x509.GeneralName) -> object:
    return name.value.lower() if isinstance(name, x509.DNSName) else name
