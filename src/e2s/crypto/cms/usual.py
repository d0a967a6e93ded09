"""The envelope to one recipient is written by filling holes and read by comparing all but them.

Whatever differs in any octet is left to the reader of :mod:`e2s.crypto.cms.opening`, which says why.
"""

from __future__ import annotations

from functools import lru_cache
from struct import Struct
from typing import Final, NamedTuple

from cryptography.hazmat.primitives.keywrap import aes_key_unwrap

from e2s.base.errors import Refusal
from e2s.crypto import der, oids
from e2s.crypto.certificates import Certificate
from e2s.crypto.cms.frames import NONCE_SIZE, TAG_SIZE, associated, constants
from e2s.crypto.cms.unwrapping import ORIGINATORS
from e2s.crypto.cms.wrapping import CIPHERTEXT_SIZES, WRAPPED_SIZE, Target, agreement_info, target_of
from e2s.crypto.ports import Opener

_KIND = der.oid(oids.AUTH_ENVELOPED_DATA)
_VERSION = der.integer(0)
_HEAD = Struct(f">HH{len(_KIND)}sHHHH{len(_VERSION)}s")
_LENGTH = Struct(">HH")
#: Where the RecipientInfos begin when every length around them takes two octets.
_START: Final = _HEAD.size
_SIZES: Final = range(0x100 + _START, 0x10000)


class Usual(NamedTuple):
    """An envelope in the usual form: how to its content key, and what stands in its content's holes."""

    form: Form
    content_type: str
    nonce: bytes
    authenticated: bytes | None
    #: Ciphertext and tag.
    sealed: bytes


class Form:
    """The RecipientInfos to one certificate: two holes (or one) in constant octets."""

    __slots__ = ("_before", "_between", "_derivation", "_first", "_holes", "_info", "_last", "end")

    def __init__(self, target: Target) -> None:
        suite = target.suite
        one, two, whole = _marked(target)
        infos = der.tlv(der.SET, whole)
        begin = infos.index(one)
        stop = begin + len(one)
        second = infos.index(two) if two else len(infos)
        self._first, self._between, self._last = infos[:begin], infos[stop:second], infos[second + len(two) :]
        self._holes = (_START + begin, _START + stop, _START + second, _START + second + len(two))
        #: Where the RecipientInfos end.
        self.end = _START + len(infos)
        self._derivation = suite.derivation
        kind = suite.curve.name if suite.curve else suite.kind
        self._before = ORIGINATORS[kind].before + b"\0" if kind in ORIGINATORS else b""
        self._info = b""
        if suite.derivation is not None:
            derivation = suite.derivation
            self._info = derivation.agreement_info if self._before else derivation.encapsulation_info

    def write(self, holes: tuple[bytes, bytes]) -> tuple[bytes, ...]:
        """The RecipientInfos, in parts, with these in their holes."""
        return self._first, holes[0], self._between, holes[1], self._last

    def fits(self, octets: bytes) -> bool:
        """Whether all but the holes stands there."""
        _begin, stop, _second, last = self._holes
        return (
            octets.startswith(self._first, _START)
            and octets.startswith(self._between, stop)
            and octets.startswith(self._last, last)
        )

    def key(self, octets: bytes, opener: Opener) -> bytes:
        """The content key; raises what the opener and the unwrapping do."""
        begin, stop, second, last = self._holes
        if self._derivation is None:
            return opener.unwrap(octets[begin:stop])
        if self._before:
            secret = opener.agree(self._before + octets[begin:stop])
        else:
            secret = opener.decapsulate(octets[begin:stop])
        return aes_key_unwrap(self._derivation.key(secret, self._info, b""), octets[second:last])


def _marked(target: Target) -> tuple[bytes, bytes, bytes]:
    """The marks of both holes, and the RecipientInfo with them inside."""
    suite, two = target.suite, b"\xa6" * WRAPPED_SIZE
    if suite.derivation is None:
        one = b"\xa5" * ((target.public_key.key_size + 7) // 8)
        return one, b"", target.before + one
    if suite.kdf_algorithm:
        one = b"\xa5" * CIPHERTEXT_SIZES[suite.kind]
        return one, two, target.before + one + target.after + two
    size = ORIGINATORS[suite.curve.name if suite.curve else suite.kind].size - 1
    one = b"\xa5" * size
    return one, two, agreement_info(suite, one, target.before + two)


@lru_cache(maxsize=1024)
def _form(certificate: Certificate) -> Form | None:
    """The form of what is sealed to ``certificate`` alone, if anything is."""
    try:
        return _form_of(target_of(certificate, None))
    except Refusal:
        return None


@lru_cache(maxsize=1024)
def _form_of(target: Target) -> Form:
    """The form of what is sealed to ``target`` alone."""
    return Form(target)


def usual_form(target: Target, size: int) -> Form | None:
    """The form of what is sealed to ``target`` alone; None unless ``size`` octets of content fit it.

    They do when every length around them takes two octets, whatever the content's type.
    """
    form = _form_of(target)
    return form if size >= 0x100 and form.end + size < 0xF000 else None


def write_usual(
    form: Form, sealed: bytes, content_type: str, nonce: bytes, holes: tuple[bytes, bytes]
) -> bytes:
    """The envelope of ``form`` with content encrypted, its tag at the end, and what is in the form's holes.

    ``holes`` are the point or ciphertext, and the wrapped key.
    """
    first, second, after = constants(content_type)
    size = len(sealed) - TAG_SIZE
    information = len(first) + NONCE_SIZE + len(second) + 4 + size
    inside = len(_VERSION) + form.end - _START + 4 + information + len(after) + TAG_SIZE
    view = memoryview(sealed)
    return b"".join(
        (
            _HEAD.pack(0x3082, inside + 8 + len(_KIND), _KIND, 0xA082, inside + 4, 0x3082, inside, _VERSION),
            *form.write(holes),
            _LENGTH.pack(0x3082, information),
            first,
            nonce,
            second,
            _LENGTH.pack(0x8082, size),
            view[:size],
            after,
            view[size:],
        )
    )


def read_usual(octets: bytes, certificate: Certificate) -> Usual | None:
    """What an envelope to ``certificate`` alone says, or None when it is another or in another form."""
    size = len(octets)
    form = _form(certificate)
    if form is None or size not in _SIZES:
        return None
    inside = size - 8 - len(_KIND)
    if _HEAD.unpack_from(octets) != (0x3082, size - 4, _KIND, 0xA082, inside, 0x3082, inside - 4, _VERSION):
        return None
    return _content(octets, form) if form.fits(octets) else None


def _content(octets: bytes, form: Form) -> Usual | None:
    """The holes of what follows the RecipientInfos: a SEQUENCE with two octets of length."""
    at, size = form.end, len(octets)
    kind = at + 4
    if size < kind + 2:
        return None
    known = _known(octets[kind : kind + 2 + octets[kind + 1]])
    if known is None:
        return None
    content_type, first, second, after, authenticated = known
    nonce = kind + len(first)
    begin = nonce + NONCE_SIZE
    end = size - TAG_SIZE
    stop = end - len(after)
    # the ciphertext's own header has one octet of length, or a mark and one or two
    length = stop - begin - len(second)
    length -= 2 if length - 2 < 0x80 else 3 if length - 3 < 0x100 else 4
    if (
        length < 0
        or stop - kind < 0x100
        or octets[at:nonce] != _LENGTH.pack(0x3082, stop - kind) + first
        or octets[begin : stop - length] != second + der.header(0x80, length)
        or octets[stop:end] != after
    ):
        return None
    view = memoryview(octets)
    sealed = b"".join((view[stop - length : stop], view[end:]))
    return Usual(form, content_type, octets[nonce:begin], authenticated, sealed)


@lru_cache(maxsize=256)
def _known(identifier: bytes) -> tuple[str, bytes, bytes, bytes, bytes | None] | None:
    """A content type with its constants, if ``identifier`` is one."""
    reader = der.Reader(identifier)
    try:
        content_type = reader.oid()
        reader.done()
    except Refusal:
        return None
    return content_type, *constants(content_type), associated(content_type)
