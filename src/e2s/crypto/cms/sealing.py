"""What is sealed opens for its recipients only, whatever kind of key each has.

AuthEnvelopedData (RFC 5083) with AES-256-GCM (RFC 5084); for old peers EnvelopedData with AES-256-CBC, of
which nothing shows whether it was altered.
"""

from __future__ import annotations

from collections.abc import Sequence

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.padding import PKCS7

from e2s.crypto.certificates import Certificate
from e2s.crypto.cms.frames import BLOCK, NONCE_SIZE, TAG_SIZE, associated, frame, old_frame
from e2s.crypto.cms.usual import usual_form, write_usual
from e2s.crypto.cms.wrapping import KEY_SIZE, Random, chosen, recipient_infos, wrapped
from e2s.crypto.suites import OLD_SEALINGS


def seal(
    content: bytes,
    content_type: str,
    recipients: Sequence[Certificate],
    random: Random,
    *,
    suites: Sequence[str] = (),
) -> bytes:
    """A ContentInfo with ``content`` sealed to ``recipients``, each by its key's suite.

    ``suites`` names others, in order of preference: each recipient gets the first that seals to its key, all
    of them old (:data:`~e2s.crypto.suites.OLD_SEALINGS`) or none.  A content type other than id-data is
    authenticated with the content (RFC 5083, 2.1).  Raises :class:`Misuse` ``bad-recipients`` or
    ``mixed-suites``, :class:`Refusal` ``suite-unknown``.
    """
    targets = chosen(recipients, suites)
    drawn = random(KEY_SIZE + BLOCK)
    key = drawn[:KEY_SIZE]
    if targets[0].suite.old:
        iv = drawn[KEY_SIZE:]
        padder = PKCS7(8 * BLOCK).padder()
        encryptor = Cipher(algorithms.AES(key), modes.CBC(iv)).encryptor()
        parts = (encryptor.update(padder.update(content)), encryptor.update(padder.finalize()))
        infos = recipient_infos(targets, key, random)
        return b"".join((*old_frame(sum(map(len, parts)), content_type, infos, iv), *parts))
    nonce = drawn[KEY_SIZE : KEY_SIZE + NONCE_SIZE]
    sealed = AESGCM(key).encrypt(nonce, content, associated(content_type))
    if len(targets) == 1 and (form := usual_form(targets[0], len(content))) is not None:
        return write_usual(form, sealed, content_type, nonce, wrapped(targets[0], key, random))
    before, after = frame(len(content), content_type, recipient_infos(targets, key, random), nonce)
    view = memoryview(sealed)
    return b"".join((*before, view[:-TAG_SIZE], after, view[-TAG_SIZE:]))


def seal_legacy(
    content: bytes, content_type: str, recipients: Sequence[Certificate], random: Random
) -> bytes:
    """A ContentInfo with EnvelopedData (AES-256-CBC), for peers that know nothing better.

    The content is not authenticated: sign it first, and never answer on how its opening failed.
    """
    return seal(content, content_type, recipients, random, suites=tuple(OLD_SEALINGS))
