"""The one style sheet of every page that people see: no script, nothing from elsewhere."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Final

from e2s.base.http import Response

PATH: Final = "/style.css"
#: No script, no frame, nothing from anywhere else.
POLICY: Final = (
    "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; "
    "frame-ancestors 'none'; base-uri 'none'"
)
HTML: Final = {
    "content-type": "text/html; charset=utf-8",
    "content-security-policy": POLICY,
    # "no-referrer" would make a browser hide where our own forms come from
    "referrer-policy": "same-origin",
}


@cache
def style() -> Response:
    """The style sheet."""
    octets = files("e2s.network.sessions").joinpath("style.css").read_bytes()
    return Response(200, octets, {"content-type": "text/css; charset=utf-8"})
