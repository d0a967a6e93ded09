"""A buyer's process: opens the wallet, begins purchases and drives all to their end; killed at any moment.

``python -m tests.fire.buyer HOME WANT SEED``: ends with status 0 once the wallet's book has WANT trades and
every one of them has ended.  What it needs to know after a kill stands in the wallet's book alone.
"""

from __future__ import annotations

import secrets
import select
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from e2s.base.errors import E2SError
from e2s.base.instants import SystemClock
from e2s.client.wallet.home import Edges, WalletHome, open_wallet
from e2s.client.wallet.wallet import Wish
from e2s.security.keys.phrase import Phrase, phrase_from_file
from tests.fire.plan import basket

#: So many purchases of one buyer are under way at a time.
_BESIDE = 3
#: The most that the buyer lets go through; some baskets cost more, and are declined.
AT_MOST = "120.00"


def pause(seconds: float) -> None:
    """Wait; libfaketime does not let time.sleep wait for an instant of the monotonic clock."""
    select.select([], [], [], seconds)


def main(home: Path, want: int, seed: str) -> None:
    """Buy until everything wanted has ended."""
    phrase = phrase_from_file(home / "pse.phrase")
    opened = open_wallet(home, phrase, Edges(clock=SystemClock(), random=secrets.token_bytes, pause=pause))
    while not _bought(opened, phrase, want, seed):
        pause(0.1)
    opened.wallet.close()


def _bought(opened: WalletHome, phrase: Phrase, want: int, seed: str) -> bool:
    """One round over all that is under way; whether everything has ended."""
    wallet = opened.wallet
    trades = wallet.trades()
    open_ = [trade.trade for trade in wallet.unfinished()]
    if len(trades) < want and len(open_) < _BESIDE:
        wish = Wish(
            shop=wallet.desk.shops[0].name,
            lines=basket(seed, opened.folder_title, len(trades)),
            deliver_to=opened.deliver_to,
            cost_centre=opened.cost_centre,
            at_most=AT_MOST,
        )
        with _told("begin"):
            open_.append(wallet.begin(wish))
    for trade in open_:
        with _told(trade):
            wallet.advance(trade, phrase)
    return len(trades) >= want and not open_


@contextmanager
def _told(what: str) -> Iterator[None]:
    """What is refused, or lost, is tried again in the next round; the log says why."""
    begun = time.monotonic()
    try:
        yield
    except E2SError as error:
        sys.stderr.write(f"{time.strftime('%X')} {what} after {time.monotonic() - begun:.1f} s: {error}\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
