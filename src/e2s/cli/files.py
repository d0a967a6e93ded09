"""Files that commands read: bounded, and each fault with the file's name."""

from __future__ import annotations

import base64
import binascii
import re
from pathlib import Path
from typing import BinaryIO

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from e2s.base.errors import Misuse, Refusal
from e2s.crypto.certificates import Certificate, read_certificates
from e2s.crypto.legacy import read_legacy

MAX_BYTES = 256 * 1024 * 1024
_BLOCK = re.compile(rb"-----BEGIN CERTIFICATE-----([^-]*+)-----END CERTIFICATE-----")
_LISTS = re.compile(rb"-----BEGIN X509 CRL-----([^-]*+)-----END X509 CRL-----")
#: A system's bundle of roots has some hundreds.
MAX_CERTIFICATES = 1024


def read(path: Path) -> bytes:
    """The file's octets; raises ``Misuse`` ``no-such-file``, ``Refusal`` ``too-large``."""
    try:
        with path.open("rb") as file:
            return whole(file, path)
    except OSError as error:
        raise Misuse("no-such-file", "the file cannot be read", file=str(path), why=error.strerror) from error


def whole(file: BinaryIO, path: Path) -> bytes:
    """The rest of an open file called ``path``; raises ``Refusal`` ``too-large``."""
    octets = file.read(MAX_BYTES + 1)
    if len(octets) > MAX_BYTES:
        raise Refusal("too-large", "the file is larger than may be read", file=str(path))
    return octets


def certificates(path: Path, *, legacy: bool = False) -> tuple[Certificate, ...]:
    """All certificates of a PEM file, or the one of a DER file; raises ``bad-certificate``.

    ``legacy``: with keys that only old certificates have.
    """
    found = (read_legacy if legacy else read_certificates)(read(path), MAX_CERTIFICATES)
    if not found:
        raise Refusal("bad-certificate", "the file holds no certificate", file=str(path))
    return found


def readable(path: Path, *, legacy: bool = False) -> tuple[tuple[Certificate, ...], int]:
    """The certificates of a bundle that can be read, and how many cannot; raises where none can."""
    octets = read(path)
    blocks = _BLOCK.findall(octets)
    if len(blocks) < 2:
        return certificates(path, legacy=legacy), 0
    if len(blocks) > MAX_CERTIFICATES:
        raise Refusal("bad-certificate", "the file holds more certificates than are read", file=str(path))
    found: list[Certificate] = []
    for block in blocks:
        try:
            octets = base64.b64decode(b"".join(block.split()), validate=True)
            found += (read_legacy if legacy else read_certificates)(octets)
        except (Refusal, binascii.Error):
            continue
    if not found:
        raise Refusal("bad-certificate", "the file holds no certificate that can be read", file=str(path))
    return tuple(found), len(blocks) - len(found)


def crls(path: Path) -> tuple[bytes, ...]:
    """The DER of each CRL of a PEM file, or of the one of a DER file; raises ``bad-crl``."""
    octets = read(path)
    if not octets.lstrip().startswith(b"-----BEGIN"):
        return (octets,)
    try:
        found = [base64.b64decode(b"".join(block.split()), validate=True) for block in _LISTS.findall(octets)]
    except binascii.Error:
        found = []
    if not found or octets.count(b"-----BEGIN") != len(found):
        raise Refusal("bad-crl", "the file holds something else than CRLs", file=str(path))
    return tuple(found)


def crl(path: Path) -> bytes:
    """A CRL's DER, from DER or PEM; raises ``bad-crl``."""
    octets = read(path)
    try:
        if octets.lstrip().startswith(b"-----BEGIN"):
            return x509.load_pem_x509_crl(octets).public_bytes(Encoding.DER)
    except ValueError as error:
        raise Refusal("bad-crl", "the file is no CRL", file=str(path)) from error
    return octets
