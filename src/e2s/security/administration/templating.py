"""The console's pages are templates with every value escaped."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from e2s.base.http import Response
from e2s.network.sessions.style import HTML
from e2s.security.registration.withdrawing import REASONS

if TYPE_CHECKING:
    from jinja2 import Environment

FOLDER: Final = Path(__file__).parent / "pages"
#: What a state means at a glance: good, to be looked at, bad.
TONES: Final = {
    "good": "good",
    "held": "warn",
    "revoked": "bad",
    "expired": "",
    "waiting": "warn",
    "approved": "good",
    "declined": "bad",
}


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
    made.filters["person"] = person
    made.filters["holder"] = holder
    made.filters["short"] = short
    made.globals["TONES"] = TONES
    made.globals["REASONS"] = REASONS
    return made


def when(instant: str) -> str:
    """``2026-03-02 09:00 UTC`` of an instant as documents write it."""
    return f"{instant[:10]} {instant[11:16]} UTC" if instant else ""


def person(name: str) -> str:
    """An officer's own part of her name, as it is written to her."""
    return name.rpartition(":")[2].capitalize()


def holder(name: str) -> str:
    """A name without the scheme and the community that all share."""
    return name.removeprefix("urn:e2s:").partition(":")[2] or name


def short(digest: str) -> str:
    """The beginning of a digest or serial, enough to tell two apart."""
    return digest.removeprefix("sha-256:")[:12]


def page(name: str, /, *, status: int = 200, **values: Any) -> Response:
    """The page made of the template ``name``."""
    text = _environment().get_template(name).render(values)
    return Response(status, text.encode(), HTML)
