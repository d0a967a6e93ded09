"""How the components of people are built: a wallet and a manager's desk, each with a page on loopback.

The link that opens the page, once, is written into the person's own home (``page.url``).
"""

from __future__ import annotations

import time

from e2s.client.wallet import manager as office
from e2s.client.wallet import store
from e2s.client.wallet.home import Edges, open_manager, open_wallet
from e2s.client.wallet.manager_page import ManagerPage
from e2s.client.wallet.page import WalletPage
from e2s.community.place import Assembled, Place
from e2s.security.keys.durable import replace_file
from e2s.security.keys.phrase import phrase_from_file

_PAGE_URL = "page.url"


def edges_of(place: Place) -> Edges:
    """The edges of a person's home, on the component's own exchange."""
    return Edges(clock=place.clock, random=place.random, pause=time.sleep, exchange=place.exchange)


def wallet(place: Place) -> Assembled:
    """A buyer's wallet."""
    phrase = phrase_from_file(place.home.phrase)
    try:
        home = open_wallet(place.home.path, phrase, edges_of(place))
    finally:
        phrase.wipe()
    page = WalletPage(
        home.wallet,
        port=place.component.listen.port,
        random=place.random,
        deliver_to=home.deliver_to,
        cost_centre=home.cost_centre,
    )
    _announce(place, page.start_path)
    database = home.wallet.desk.database
    return Assembled(handle=page.handle, close=home.wallet.close, outboxes=(("", database, store.OUTBOX),))


def manager(place: Place) -> Assembled:
    """A purchasing manager's desk."""
    phrase = phrase_from_file(place.home.phrase)
    try:
        home = open_manager(place.home.path, phrase, edges_of(place))
    finally:
        phrase.wipe()
    page = ManagerPage(home, port=place.component.listen.port, random=place.random)
    _announce(place, page.start_path)
    database = home.desk.office.database
    return Assembled(handle=page.handle, close=home.desk.close, outboxes=(("", database, office.OUTBOX),))


def _announce(place: Place, start: str) -> None:
    replace_file(place.home.path / _PAGE_URL, f"{place.component.origin}{start}\n".encode())
