"""A session's keys come from two single-use keys and the whole transcript; nothing of them is ever stored.

``th`` covers the page and the signed contents of login and answer, so both ends agree on every word
before the first record opens (protocol, section 2; ``h`` is SHA-256, section 9.7).
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from e2s.base import meter
from e2s.base.errors import Refusal
from e2s.base.wire import len4
from e2s.crypto.suites import SESSIONS, SessionSuite

KEY_BYTES = 32
IV_BYTES = 12


def session_suite(name: str) -> SessionSuite:
    """The suite called ``name``; raises :class:`Refusal` ``suite-unknown``."""
    suite = SESSIONS.get(name)
    if suite is None:
        raise Refusal("suite-unknown", "no session suite has this name", suite=name[:64])
    return suite


def transcript(page: bytes, login_content: bytes, answer_content: bytes) -> bytes:
    """``th`` over the page's octets and the signed contents (the Acts) of login and answer."""
    return hashlib.sha256(b"e2s/1 th" + len4(page) + len4(login_content) + len4(answer_content)).digest()


@dataclass(frozen=True, kw_only=True)
class SessionKeys:
    """A key and an initial vector for each direction; never shown."""

    c2s_key: bytes = field(repr=False)
    s2c_key: bytes = field(repr=False)
    c2s_iv: bytes = field(repr=False)
    s2c_iv: bytes = field(repr=False)


def derive(suite: SessionSuite, secret: bytes, th: bytes) -> SessionKeys:
    """HKDF (RFC 5869) of the agreed ``secret``, salted by ``th``, with the suite's digest."""
    meter.count("derive")
    # 2.2: PRK = HMAC(salt, IKM)
    extracted = hmac.new(th, secret, suite.hash.name).digest()

    def expand(label: str, size: int) -> bytes:
        info = b"e2s/1 " + label.encode() + b"\x00" + suite.name.encode() + b"\x00" + th
        return HKDFExpand(suite.hash, size, info).derive(extracted)

    return SessionKeys(
        c2s_key=expand("c2s key", KEY_BYTES),
        s2c_key=expand("s2c key", KEY_BYTES),
        c2s_iv=expand("c2s iv", IV_BYTES),
        s2c_iv=expand("s2c iv", IV_BYTES),
    )


def protection(key: bytes) -> AESGCM:
    """The authenticated cipher of session records and of links, with a 12-octet nonce and 16-octet tag."""
    return AESGCM(key)
