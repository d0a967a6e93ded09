"""An officer's page on her own machine: what waits, certificates, reports, policies; her key signs each act.

Server-rendered and without script.  An act takes two pages: the first shows the document that is to be signed
and what it would change, the second signs it.  A pass phrase lives from the form to the signature.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from threading import Lock
from typing import Any, Final

from e2s.base.errors import E2SError, Refusal, Unreachable
from e2s.base.http import Response
from e2s.base.wire import Document, b64u
from e2s.crypto.ports import Signer
from e2s.network.sessions.gate import Asked, redirect, told
from e2s.network.sessions.owner_page import Doors, OwnerPage
from e2s.security.administration.drafts import Draft, check
from e2s.security.administration.remote import Remote
from e2s.security.administration.templating import page
from e2s.security.keys.phrase import Phrase
from e2s.security.pki.rights import RIGHTS

#: Opens the officer's sealed file for one signature.
Opening = Callable[[Phrase], AbstractContextManager[Signer]]
#: Drafts that are remembered until they are signed or others take their place.
_MOST_DRAFTS: Final = 32
ROWS: Final = 25
_REGISTRAR: Final = {RIGHTS.register, RIGHTS.approve, RIGHTS.audit}
_GOVERNOR: Final = {RIGHTS.policy, RIGHTS.officers, RIGHTS.audit}


class Console(OwnerPage):
    """The console's door for its officer's browser."""

    def __init__(
        self, remote: Remote, opening: Opening, *, port: int, random: Callable[[int], bytes]
    ) -> None:
        """``port`` is where it is served on loopback; :attr:`start_path` opens it, once."""
        self._remote = remote
        self._opening = opening
        self._random = random
        self._drafts: dict[str, Draft] = {}
        self._said = ""
        self._lock = Lock()
        super().__init__(port=port, random=random)

    def doors(self) -> Doors:
        """Every page; those that show anything ask for a log-in first."""
        pages: Mapping[str, Callable[[Asked], Response]] = {
            "/": self._waiting,
            "/case": self._case,
            "/certificates": self._certificates,
            "/certificate": self._certificate,
            "/reports": self._reports,
            "/report": self._report,
            "/report.csv": self._csv,
            "/officers": lambda asked: self._plain(asked, "officers"),
            "/ceremonies": lambda asked: self._plain(asked, "ceremonies"),
            "/policies": self._policies,
            "/policy": self._policy,
            "/proposal": self._proposal,
        }
        return {
            **{("GET", path): self._logged_in(show) for path, show in pages.items()},
            ("POST", "/login"): self._login,
            ("POST", "/logout"): self._logout,
            ("POST", "/draft"): self._logged_in(self._draft),
            ("POST", "/sign"): self._logged_in(self._sign),
        }

    # ------------------------------------------------------------------ log-in
    def _logged_in(self, show: Callable[[Asked], Response]) -> Callable[[Asked], Response]:
        """The page, or the log-in where the session is over; what is refused is said."""

        def shown(asked: Asked) -> Response:
            if self._remote.me is None:
                return self._log_in_page(asked)
            try:
                return show(asked)
            except Refusal as refusal:
                if refusal.rule == "no-session":
                    return self._log_in_page(asked, alert=told(refusal))
                return self._show(asked, "refused.html", status=409, alert=told(refusal))
            except Unreachable as error:
                return self._show(asked, "refused.html", status=503, alert=told(error))

        return shown

    def _log_in_page(self, asked: Asked, *, alert: str = "", status: int = 200) -> Response:
        return self._show(asked, "login.html", status=status, alert=alert)

    def _login(self, asked: Asked) -> Response:
        try:
            with self._signer(asked) as signer:
                self._remote.login(signer)
        except E2SError as error:
            return self._log_in_page(asked, alert=told(error), status=409)
        return redirect("/")

    def _logout(self, _asked: Asked) -> Response:
        self._remote.logout()
        with self._lock:
            self._drafts.clear()
        return redirect("/")

    def _signer(self, asked: Asked) -> AbstractContextManager[Signer]:
        return self._opening(Phrase(asked.secret()))

    # ------------------------------------------------------------------ what is shown
    def _show(
        self, asked: Asked, template: str, *, status: int = 200, alert: str = "", **values: Any
    ) -> Response:
        with self._lock:
            said, self._said = self._said, ""
        return page(
            template,
            status=status,
            alert=alert,
            said=said,
            token=asked.token,
            me=self._remote.me,
            path=asked.path,
            origin=self._remote.origin,
            **values,
        )

    def _holds(self, rights: set[str]) -> bool:
        return self._remote.me is not None and not rights.isdisjoint(self._remote.me["rights"])

    def _waiting(self, asked: Asked) -> Response:
        """Whatever waits for an officer with these rights."""
        get = self._remote.get
        nothing: Document = {"cases": [], "approvals": [], "requests": []}
        registrar = self._holds(_REGISTRAR)
        found = {
            "cases": get("cases", state="named") if registrar else nothing,
            "approvals": get("approvals") if registrar else nothing,
            "requests": get("requests") if registrar else nothing,
            "proposals": get("proposals", state="waiting") if self._holds(_GOVERNOR) else {"proposals": []},
        }
        lists = {name: some[name] for name, some in found.items()}
        return self._show(asked, "waiting.html", registrar=registrar, **lists)

    def _case(self, asked: Asked) -> Response:
        return self._show(asked, "case.html", found=self._remote.get("cases", asked.get("case"))["shown"])

    def _certificates(self, asked: Asked) -> Response:
        name, state, after = asked.get("name")[:255], asked.get("state"), asked.count("after", 2**40)
        found = self._remote.get("certificates", name=name, state=state, after=after, most=ROWS)
        return self._show(asked, "certificates.html", found=found, name=name, state=state)

    def _certificate(self, asked: Asked) -> Response:
        found = self._remote.get("certificates", asked.get("serial"))
        return self._show(asked, "certificate.html", found=found, may=self._holds({RIGHTS.revoke}))

    def _reports(self, asked: Asked) -> Response:
        return self._show(asked, "reports.html", found=self._remote.get("reports"))

    def _report(self, asked: Asked) -> Response:
        kind, days, by = asked.get("kind"), asked.count("days") or 30, asked.get("by")
        after = asked.count("after", 2**40)
        found = self._remote.get("reports", kind, days=days, by=by, after=after, most=ROWS)
        return self._show(asked, "report.html", found=found, kind=kind, days=days, by=by)

    def _csv(self, asked: Asked) -> Response:
        kind, days = asked.get("kind"), asked.count("days") or 30
        octets = self._remote.text("reports", kind, "csv", days=days, by=asked.get("by"))
        disposition = 'attachment; filename="report.csv"'
        return Response(200, octets, {"content-type": "text/csv", "content-disposition": disposition})

    def _plain(self, asked: Asked, what: str) -> Response:
        return self._show(asked, f"{what}.html", found=self._remote.get(what))

    def _policies(self, asked: Asked) -> Response:
        found = self._remote.get("policies")["policies"]
        proposals = self._remote.get("proposals")["proposals"]
        return self._show(asked, "policies.html", policies=found, proposals=proposals)

    def _policy(self, asked: Asked) -> Response:
        name, number = asked.get("name"), asked.count("version")
        more = ("versions", str(number)) if number else ()
        found = self._remote.get("policies", name, *more)
        may = self._holds({RIGHTS.officers if name == "officers" else RIGHTS.policy})
        return self._show(asked, "policy.html", found=found, number=number, may=may)

    def _proposal(self, asked: Asked) -> Response:
        found = self._remote.get("proposals", str(asked.count("n")))
        return self._show(
            asked, "proposal.html", found=found, may=self._holds({RIGHTS.policy, RIGHTS.officers})
        )

    # ------------------------------------------------------------------ acts
    def _draft(self, asked: Asked) -> Response:
        """The document of an act, before it is signed: a dry run."""
        act, back = _act(asked), asked.get("back", "/")
        found = self._remote.draft(act)
        draft = check(
            Draft(
                act=act,
                document=found["document"],
                concerns=found["concerns"],
                lines=found["lines"],
                back=back if back.startswith("/") and not back.startswith("//") else "/",
            ),
            self._officer(),
        )
        called = b64u(self._random(16))
        with self._lock:
            while len(self._drafts) >= _MOST_DRAFTS:
                del self._drafts[next(iter(self._drafts))]
            self._drafts[called] = draft
        return self._show(asked, "sign.html", draft=draft, called=called)

    def _sign(self, asked: Asked) -> Response:
        """Sign a document that was shown, and send it."""
        called = asked.get("draft")
        with self._lock:
            draft = self._drafts.get(called)
        if draft is None:
            raise Refusal("no-such-draft", "this document is not remembered any more: begin again")
        try:
            with self._signer(asked) as signer:
                if signer.certificate.name != self._officer():
                    raise Refusal("other-officer", "the key is another officer's than who is logged in")
                answer = self._remote.say(draft.document, signer)
        except E2SError as error:
            return self._show(asked, "sign.html", status=409, alert=told(error), draft=draft, called=called)
        with self._lock:
            self._drafts.pop(called, None)
            self._said = f"{draft.title}: {_became(answer)}."
        return redirect(draft.back)

    def _officer(self) -> str:
        return str(self._remote.me["officer"]) if self._remote.me is not None else ""


def _act(asked: Asked) -> Document:
    """The act that a form asks for."""
    kind = asked.get("act")
    members: Mapping[str, Callable[[], Document]] = {
        "approve-cases": lambda: {"cases": [name[5:] for name in asked.fields if name.startswith("case-")]},
        "countersign": lambda: {"approval": asked.count("approval")},
        "refuse-case": lambda: {"case": asked.get("case"), "why": asked.get("why")},
        "revoke": lambda: {"serial": asked.get("serial"), "reason": asked.get("reason")},
        "hold": lambda: {"serial": asked.get("serial")},
        "release": lambda: {"serial": asked.get("serial")},
        "propose": lambda: {
            "policy": asked.get("policy"),
            "why": asked.get("why"),
            "content": _content(asked),
        },
        "go-back": lambda: {
            "policy": asked.get("policy"),
            "why": asked.get("why"),
            "version": asked.count("version"),
        },
        "decide": lambda: {
            "proposal": asked.count("proposal"),
            "decision": asked.get("decision"),
            "why": asked.get("why"),
        },
        "decide-request": lambda: {
            "request": asked.get("request"),
            "decision": asked.get("decision"),
            "why": asked.get("why"),
        },
    }
    if kind not in members:
        raise Refusal("no-such-act", "there is no such act")
    return {"act": kind, **members[kind]()}


def _content(asked: Asked) -> str:
    """The text of a policy as it was typed; a browser sends line ends as CR LF (HTML, 4.10.22)."""
    return asked.fields.get("content", "").replace("\r\n", "\n")


def _became(answer: Document) -> str:
    """What became of an act, in a word or two."""
    words = {"once": "waits for a second officer", "ready": "approved, to be ordered", "waiting": "waits"}
    state = str(answer.get("state", "done"))
    return words.get(state, state)
