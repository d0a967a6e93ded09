"""The page at which a request and a code lead to a certificate: without script, by keyboard or mouse."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final

from e2s.base.errors import Refusal, Unreachable
from e2s.base.http import Request, Response
from e2s.base.instants import format_instant
from e2s.crypto.certificates import Certificate
from e2s.network.sessions.forms import read_form
from e2s.network.sessions.style import HTML, style
from e2s.security.enrolment.asking import Desk, Issued, Pending
from e2s.security.enrolment.naming import names_in

if TYPE_CHECKING:
    from jinja2 import Template

PATH: Final = "/enrol"
STYLE: Final = f"{PATH}/style.css"
_MAX_SHOWN: Final = 32 * 1024

#: What answers a code, a request and a client's address.
Enrol = Callable[[str, bytes, str], "Issued | Pending"]


class EnrolPage:
    """The form, and what came of it."""

    def __init__(self, desk: Desk, enrol: Enrol) -> None:
        """``enrol`` is what programs are answered by, too."""
        self._desk = desk
        self._enrol = enrol

    def form(self, _request: Request) -> Response:
        """The empty form."""
        return self._shown()

    def style(self, _request: Request) -> Response:
        """The style sheet."""
        return style()

    def sent(self, request: Request) -> Response:
        """What came of a form: a certificate, a wait, or the form again with why not."""
        pasted = b""
        try:
            fields = read_form(request)
            pasted = fields.get("request", b"")
            body = fields.get("file", b"") or pasted
            code = fields.get("code", b"").decode("ascii", "replace")
            answer = self._enrol(code, body, request.client)
        except Refusal as refusal:
            return self._shown(400, alert=f"{refusal.message} ({refusal.rule})", request=_text(pasted))
        except Unreachable as error:
            alert = f"nothing was lost: send it again in a moment ({error.rule})"
            return self._shown(503, alert=alert, request=_text(pasted))
        if isinstance(answer, Pending):
            return self._shown(202, case="waits")
        return self._certified(answer)

    def _certified(self, issued: Issued) -> Response:
        certificate = Certificate.read(issued.certificate)
        return self._shown(
            done=True,
            names=names_in(certificate),
            subject=certificate.subject,
            serial=f"{certificate.serial:x}",
            until=format_instant(certificate.not_after),
            digest=certificate.id,
            pem=certificate.pem.decode("ascii"),
        )

    def _shown(self, status: int = 200, **values: Any) -> Response:
        given = {"alert": "", "done": False, "case": "", "request": "", "issuer": self._desk.issuer.subject}
        return Response(status, _template().render({**given, **values}).encode(), HTML)


def _text(pasted: bytes) -> str:
    return pasted[:_MAX_SHOWN].decode("ascii", "replace")


@cache
def _template() -> Template:
    from jinja2 import Environment, StrictUndefined  # noqa: PLC0415 - only who serves the page pays for it

    made = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    text = files("e2s.security.enrolment").joinpath("pages", "enrol.html").read_text("utf-8")
    return made.from_string(text)
