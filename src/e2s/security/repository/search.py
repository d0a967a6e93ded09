"""What a certificate or list can be found by (RFC 4387, 2.1 and 2.2), and how it is asked for.

A search key of octets is the base64 of their SHA-1 hash without its padding: a name in an index, which
proves nothing; what is found is signed.  A query that is not exactly one known attribute with a value of its
own form is refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote_to_bytes

from cryptography import x509

from e2s.base.errors import Refusal
from e2s.crypto.certificates import Certificate
from e2s.security.verification.crls import CrlIndex
from e2s.security.verification.searching import CERTIFICATES_PATH, CRLS_PATH, search_key

MAX_QUERY_BYTES: Final = 1024
MAX_VALUE_CHARACTERS: Final = 256
#: How many names of one kind of a certificate are indexed.
_MAX_NAMES: Final = 32

_HASHED: Final = frozenset({"certHash", "iHash", "iAndSHash", "sHash", "sKIDHash"})
#: The attributes of either store (2.2); a list has an issuer and its key only.
ATTRIBUTES: Final = {
    CERTIFICATES_PATH: _HASHED | {"name", "uri"},
    CRLS_PATH: frozenset({"iHash", "sKIDHash"}),
}
_KEY = re.compile(r"[A-Za-z0-9+/]{27}", re.ASCII)
_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})", re.ASCII)


@dataclass(frozen=True)
class Query:
    """One question: which store, by which attribute, for which value."""

    store: str
    attribute: str
    value: str


def read_query(target: str) -> Query:
    """The question in a request's path; raises :class:`Refusal` ``bad-query`` or ``unknown-attribute``."""
    path, _, query = target.partition("?")
    attributes = ATTRIBUTES.get(path)
    if attributes is None:
        raise Refusal("bad-query", "there is no such store")
    if len(query) > MAX_QUERY_BYTES:
        raise Refusal("bad-query", "the query is longer than is read", size=len(query))
    attribute, separator, raw = query.partition("=")
    if not separator or not raw or "&" in query or ";" in query:
        raise Refusal("bad-query", "a query is one attribute and one value: attribute=value (RFC 4387, 2)")
    if attribute not in attributes:
        raise Refusal("unknown-attribute", "this store is not searched by that attribute (RFC 4387, 2.2)")
    return Query(path, attribute, _value(attribute, raw))


def _value(attribute: str, raw: str) -> str:
    """The value without its escapes, of the attribute's own form."""
    hashed = attribute in _HASHED
    if _ESCAPE.search(raw):
        raise Refusal("bad-query", "an escape is a per cent sign and two hexadecimal digits")
    try:
        # A plus sign is a space in a form, and a letter of base64 that many do not escape.
        value = unquote_to_bytes(raw if hashed else raw.replace("+", " ")).decode("utf-8")
    except UnicodeDecodeError as error:
        raise Refusal("bad-query", "a value is text in UTF-8") from error
    if hashed and not _KEY.fullmatch(value):
        raise Refusal("bad-query", "a search key is 27 characters of base64 (RFC 4387, 2.1)")
    if len(value) > MAX_VALUE_CHARACTERS or not value.isprintable():
        raise Refusal("bad-query", "a value is printable text of at most 256 characters")
    return value


def keys_of_certificate(certificate: Certificate) -> Iterator[tuple[str, str]]:
    """Every (attribute, value) that finds the certificate (2.2)."""
    slices = certificate.slices
    yield "certHash", search_key(certificate.der)
    yield "iHash", search_key(slices.issuer)
    yield "iAndSHash", search_key(certificate.issuer_and_serial)
    yield "sHash", search_key(slices.subject)
    if certificate.key_id is not None:
        yield "sKIDHash", search_key(certificate.key_id)
    common = certificate.x509.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
    for name in dict.fromkeys(str(one.value) for one in common[:_MAX_NAMES]):
        yield from _text("name", name)
    for uri in dict.fromkeys(_uris(certificate)):
        yield from _text("uri", uri)


def keys_of_list(crl: CrlIndex) -> Iterator[tuple[str, str]]:
    """Every (attribute, value) that finds the list: its issuer's name and key."""
    yield "iHash", search_key(crl.issuer)
    if crl.authority_key_id is not None:
        yield "sKIDHash", search_key(crl.authority_key_id)


def _uris(certificate: Certificate) -> Iterator[str]:
    """URIs with and without their scheme, DNS names, addresses of mail and of hosts (2.2, ``uri``)."""
    for uri in certificate.names[:_MAX_NAMES]:
        yield uri
        yield uri.partition(":")[2].removeprefix("//")
    yield from certificate.dns[:_MAX_NAMES]
    yield from certificate.ips[:_MAX_NAMES]
    names = certificate.values.get(x509.SubjectAlternativeName, ())
    mail = [one.value for one in names if isinstance(one, x509.RFC822Name)]
    yield from mail[:_MAX_NAMES]


def _text(attribute: str, value: str) -> Iterator[tuple[str, str]]:
    """What a query could not ask for is not indexed."""
    if value and len(value) <= MAX_VALUE_CHARACTERS and value.isprintable():
        yield attribute, value
