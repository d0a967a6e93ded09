"""CMS through files of any size: the same messages as in memory, a piece at a time.

What is read counts only when the call has returned: :func:`open_unnamed` makes a file that nobody sees until
:func:`place` gives it its name.
"""

from __future__ import annotations

from e2s.crypto.cms.streaming.armour import armour, is_armoured, unarmour
from e2s.crypto.cms.streaming.naming import signature_name
from e2s.crypto.cms.streaming.reading import Opened, Verified, open_sealed, verify
from e2s.crypto.cms.streaming.spool import Told, is_regular, open_unnamed, place, size_of, spooled
from e2s.crypto.cms.streaming.writing import MAX_GCM_BYTES, seal, sign

__all__ = [
    "MAX_GCM_BYTES",
    "Opened",
    "Told",
    "Verified",
    "armour",
    "is_armoured",
    "is_regular",
    "open_sealed",
    "open_unnamed",
    "place",
    "seal",
    "sign",
    "signature_name",
    "size_of",
    "spooled",
    "unarmour",
    "verify",
]
