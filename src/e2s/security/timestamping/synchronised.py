"""Whether the kernel's clock is known to be right: it is set by a source of time, which the kernel knows."""

from __future__ import annotations

import ctypes
from typing import Final

#: What adjtimex gives for a clock that no source keeps right (adjtimex(2): TIME_ERROR).
_UNKNOWN: Final = 5
#: Larger than struct timex on any Linux.
_STRUCT_BYTES: Final = 512


def synchronised() -> bool:
    """Whether the kernel says that its clock is synchronised; False where it does not say."""
    try:
        adjtimex = ctypes.CDLL(None, use_errno=True).adjtimex
    except (OSError, AttributeError):
        return False
    # modes = 0: nothing is set, only read
    answer: int = adjtimex(ctypes.create_string_buffer(_STRUCT_BYTES))
    return 0 <= answer < _UNKNOWN
