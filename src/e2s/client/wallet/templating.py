"""Pages are templates with every value escaped; what is money or time is written the same way everywhere."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from e2s.base.http import Response
from e2s.network.sessions.style import HTML

if TYPE_CHECKING:
    from jinja2 import Environment

FOLDER = Path(__file__).parent / "pages"
#: What each state of a trade means to its buyer.
STATES = {
    "asked": "Waiting for the offer",
    "offered": "Offer to decide on",
    "accepted": "Accepted, waiting for the contract",
    "contract": "Contract to pay",
    "paying": "Payment under way",
    "inquiring": "Payment unclear: ask the bank",
    "declined": "Payment declined",
    "paid": "Paid, waiting for goods",
    "received": "Goods delivered",
    "closed": "Closed by the statement",
    "void": "Void",
}
#: The way of a trade, for the bar above it.
#: What an act is called for a reader.
ACTS = {
    "offer": "Offer",
    "accept": "Acceptance",
    "confirm": "Confirmation: the contract",
    "void": "Void",
    "pinit": "Terms of payment",
    "pay": "Payment order",
    "pres": "Answer of merchant and banks",
    "delivery": "Delivery",
    "receipt": "Receipt",
    "cancel": "Cancellation",
    "inquiry": "Question to the bank",
    "inquiry-answer": "The bank's answer",
    "statement": "Statement",
}
_PAID = {"paid", "received", "closed"}
_CONTRACT = {"contract", "paying", "inquiring", "declined", *_PAID}
STEPS = (
    ("Offer", {"offered", "accepted", *_CONTRACT}),
    ("Contract", _CONTRACT),
    ("Payment", _PAID),
    ("Delivery", {"received", "closed"}),
    ("Statement", {"closed"}),
)


@lru_cache(maxsize=1)
def _environment() -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined  # noqa: PLC0415  # only pages pay for it

    made = Environment(
        loader=FileSystemLoader(FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters["when"] = when
    made.filters["short"] = short
    made.filters["party"] = party
    made.filters["person"] = person
    made.globals["STATES"] = STATES
    made.globals["ACTS"] = ACTS
    made.globals["STEPS"] = STEPS
    return made


def when(instant: str) -> str:
    """``2026-03-02 09:00 UTC`` of an instant as documents write it."""
    return f"{instant[:10]} {instant[11:16]} UTC"


def short(digest: str) -> str:
    """The beginning of a digest or a trade's name, enough to tell two apart."""
    return digest.removeprefix("sha-256:")[:10]


def party(name: str) -> str:
    """A party's name without the scheme that all share."""
    return name.removeprefix("urn:e2s:").partition(":")[2] or name


def person(name: str) -> str:
    """A person's own part of a name, as it is written to her."""
    return name.rpartition(":")[2].capitalize()


def page(name: str, *, status: int = 200, **values: Any) -> Response:
    """The page made of the template ``name``."""
    text = _environment().get_template(name).render(values)
    return Response(status, text.encode(), HTML)
