"""Written in one pass through a file: what stands before the content is filled in when its size is known.

The octets are those of :func:`e2s.crypto.cms.sign` and :func:`e2s.crypto.cms.seal`: one CMS, whose makers
are theirs.  All lengths are definite.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import BinaryIO, Final

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from e2s.base.errors import Misuse, Refusal
from e2s.crypto import der
from e2s.crypto.certificates import Certificate
from e2s.crypto.cms.frames import BLOCK, NONCE_SIZE, associated, frame, old_frame
from e2s.crypto.cms.signing import around, signed_of, signer_info, template_of
from e2s.crypto.cms.streaming.spool import BUFFER, Told, is_regular, pieces, shift, size_of, untold, write
from e2s.crypto.cms.wrapping import KEY_SIZE, Random, chosen, recipient_infos
from e2s.crypto.ports import Signer

#: What AES-GCM encrypts under one nonce at most (NIST SP 800-38D, 5.2.1.1): 2^39 - 256 bits.
MAX_GCM_BYTES: Final = (1 << 36) - 32


def sign(
    source: BinaryIO,
    out: BinaryIO,
    content_type: str,
    signer: Signer,
    at: datetime,
    *,
    detached: bool = False,
    certificates: Sequence[Certificate] = (),
    signed_attributes: Sequence[bytes] = (),
    unsigned_attributes: Sequence[bytes] = (),
    told: Told = untold,
) -> None:
    """Write to ``out`` what :func:`e2s.crypto.cms.sign` gives for what is in ``source`` from here on.

    Both are unbuffered files that can be sought in; ``told`` hears how many octets are done, again and
    again.  Raises :class:`Refusal` ``file-changed`` too.
    """
    size = remaining(source)
    template = template_of(signer, certificates, content_type)
    digest = signer.suite.digest()
    start = out.tell()
    # what stands before the content has more octets only where the signature brings all above a power of 256
    guess = 0 if detached else len(around(template, size, b"")[0])
    out.seek(start + guess)
    for piece in pieces(source, size, told):
        digest.update(piece)
        if not detached:
            write(out, piece)
    attributes = signed_of(signer, content_type, digest.digest(), at, signed_attributes)
    info = signer_info(template, attributes, signer, unsigned_attributes)
    before, after = around(template, None if detached else size, der.tlv(der.SET, info))
    if not detached and len(before) > guess:
        shift(out, start + guess, size, len(before) - guess)
    out.seek(start)
    write(out, before)
    out.seek(start + len(before) + (0 if detached else size))
    write(out, after)
    out.truncate()


def seal(
    source: BinaryIO,
    out: BinaryIO,
    content_type: str,
    recipients: Sequence[Certificate],
    random: Random,
    *,
    suites: Sequence[str] = (),
    told: Told = untold,
) -> None:
    """Write to ``out`` what :func:`e2s.crypto.cms.seal` gives for what is in ``source`` from here on.

    Raises :class:`Refusal` ``gcm-limit`` for content beyond 64 GiB (NIST SP 800-38D, 5.2.1.1), and
    ``file-changed`` too.
    """
    targets = chosen(recipients, suites)
    size = remaining(source)
    drawn = random(KEY_SIZE + BLOCK)
    key = drawn[:KEY_SIZE]
    if targets[0].suite.old:
        infos = recipient_infos(targets, key, random)
        _seal_old(source, out, (content_type, size), infos, drawn, told)
        return
    check_gcm(size)
    nonce = drawn[KEY_SIZE : KEY_SIZE + NONCE_SIZE]
    encryptor = Cipher(algorithms.AES(key), modes.GCM(nonce)).encryptor()
    authenticated = associated(content_type)
    if authenticated is not None:
        encryptor.authenticate_additional_data(authenticated)
    before, after = frame(size, content_type, recipient_infos(targets, key, random), nonce)
    write(out, b"".join(before))
    through = Through(encryptor.update_into, out)
    for piece in pieces(source, size, told):
        through(piece)
    encryptor.finalize()
    write(out, after + encryptor.tag)


def _seal_old(
    source: BinaryIO,
    out: BinaryIO,
    content: tuple[str, int],
    infos: Sequence[bytes],
    drawn: bytes,
    told: Told,
) -> None:
    """EnvelopedData: the last block is padded (RFC 5652, 6.3)."""
    content_type, size = content
    padding = BLOCK - size % BLOCK
    iv = drawn[KEY_SIZE:]
    encryptor = Cipher(algorithms.AES(drawn[:KEY_SIZE]), modes.CBC(iv)).encryptor()
    write(out, b"".join(old_frame(size + padding, content_type, infos, iv)))
    through = Through(encryptor.update_into, out)
    for piece in pieces(source, size, told):
        through(piece)
    through(memoryview(bytes((padding,)) * padding))
    encryptor.finalize()


class Through:
    """Pieces go through a cipher into a file, by one buffer used again."""

    __slots__ = ("_buffer", "_into", "_out")

    def __init__(self, into: Callable[[memoryview, memoryview], int], out: BinaryIO) -> None:
        """``into`` is ``update_into`` of a cipher."""
        self._into = into
        self._out = out
        self._buffer = memoryview(bytearray(BUFFER + BLOCK))

    def __call__(self, piece: memoryview) -> None:
        """One piece of at most :data:`~e2s.crypto.cms.streaming.spool.BUFFER` octets."""
        count = self._into(piece, self._buffer)
        write(self._out, self._buffer[:count])


def check_gcm(size: int) -> None:
    """Refuse more than AES-GCM encrypts under one nonce."""
    if size > MAX_GCM_BYTES:
        raise Refusal("gcm-limit", "AES-GCM encrypts at most 64 GiB at once", size=size, most=MAX_GCM_BYTES)


def remaining(source: BinaryIO) -> int:
    """Octets from here to the end of a regular file; raises :class:`Misuse` ``no-file``."""
    if not is_regular(source):
        raise Misuse("no-file", "what is streamed is a file whose size is known")
    return max(0, size_of(source) - source.tell())
