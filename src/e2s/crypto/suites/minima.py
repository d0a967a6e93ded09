"""How large a key must be: the least that any of our own suites takes, and the least that a place asks for.

Nothing else in E2S says how many bits are enough.  The constants are those of the table's rows for places
without rows of their own, which a test compares; a place may ask for more, and until when.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

from e2s.crypto.suites.mechanisms import Use
from e2s.crypto.suites.policy import Policy, day_of, table

#: RSA keys of fewer bits have no suite here, wherever they come from (SP 800-57 part 1, table 2: 128 bits).
MIN_RSA_BITS: Final = 3072
#: The least that may stand in the path of another's certificate (SP 800-131A, table 2: 112 bits): who
#: certified a peer is for the peer's own authority to choose, what signs or seals here is for us.
MIN_PATH_RSA_BITS: Final = 2048
#: Larger ones cost whoever verifies too much.
MAX_RSA_BITS: Final = 8192


def least(
    mechanism: str, use: Use, location: str, *, at: datetime, policy: Policy | None = None
) -> int | None:
    """The least size that ``location`` permits for ``mechanism`` then; None where it permits none."""
    day = day_of(at)
    return min(
        (
            row.minimum
            for row in (policy or table()).of(location)
            if row.use == use and row.mechanism == mechanism and row.holds(day)
        ),
        default=None,
    )
