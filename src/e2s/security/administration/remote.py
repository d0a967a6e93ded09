"""The interface as an officer's own tools reach it: what it refuses is a refusal here, in its words."""

from __future__ import annotations

import json
from typing import Any, Final
from urllib.parse import quote, urlencode

from e2s.base import wire
from e2s.base.errors import Refusal
from e2s.base.http import Exchange, Request, Response
from e2s.base.wire import Document
from e2s.crypto.ports import Signer
from e2s.security.administration.documents import LOGIN
from e2s.security.registration.acts import signed

MAX_ANSWER_BYTES: Final = 64 * 1024 * 1024
_JSON: Final = {"content-type": "application/json"}


class Remote:
    """One officer's session at an interface; its token is in memory only."""

    def __init__(self, exchange: Exchange, origin: str) -> None:
        """``origin`` is where the interface is served, as officers reach it."""
        self.origin = origin
        self._exchange = exchange
        self._token = ""
        self.me: Document | None = None

    def login(self, signer: Signer) -> Document:
        """Log in by the officer's key; gives who she is there.

        Raises :class:`Refusal` ``wrong-draft`` where what is to be signed is no log-in at this origin.
        """
        name = signer.certificate.name
        said = self._sent("POST", "/v1/login/challenge", {"officer": name})["document"]
        if (said.get("type"), said.get("audience"), said.get("officer")) != (LOGIN.type, self.origin, name):
            raise Refusal("wrong-draft", "what the interface gave to sign is no log-in here")
        found = self._sent("POST", "/v1/login", {"word": wire.b64u(signed(said, signer))})
        self._token, self.me = found["token"], found["me"]
        return found["me"]  # type: ignore[no-any-return]  # as the interface says it

    def logout(self) -> None:
        """End the session."""
        token, self._token, self.me = self._token, "", None
        if token:
            self._exchange.send(self.origin, Request("POST", "/v1/logout", b"", _bearer(token)))

    def get(self, *parts: str, **query: str | int) -> Any:
        """What stands at a path; empty values of the query are left out."""
        return self._sent("GET", _path(parts, query))

    def text(self, *parts: str, **query: str | int) -> bytes:
        """What stands at a path, as it comes."""
        return self._answered("GET", _path(parts, query), None).body

    def post(self, *parts: str, body: Document) -> Any:
        """What is answered to a document."""
        return self._sent("POST", _path(parts, {}), body)

    def draft(self, act: Document) -> Document:
        """The document of an act, with what it would change."""
        return self._sent("POST", "/v1/drafts", act)  # type: ignore[no-any-return]  # as the interface says it

    def say(self, document: Document, signer: Signer) -> Document:
        """Sign a document and send it; gives what became of it."""
        return self._sent("POST", "/v1/words", {"word": wire.b64u(signed(document, signer))})["answer"]  # type: ignore[no-any-return]  # as above

    def _sent(self, method: str, path: str, body: Document | None = None) -> Any:
        response = self._answered(method, path, None if body is None else json.dumps(body).encode())
        return _read(response)

    def _answered(self, method: str, path: str, body: bytes | None) -> Response:
        headers = {**_bearer(self._token), **(_JSON if body is not None else {})}
        response = self._exchange.send(self.origin, Request(method, path, body or b"", headers))
        if response.status != 200:
            raise self._refusal(response)
        return response

    def _refusal(self, response: Response) -> Refusal:
        rule = response.headers.get("e2s-rule", "peer-refused")
        if rule == "no-session":
            self._token, self.me = "", None
        try:
            found = _read(response)
            return Refusal(rule, str(found["detail"])[:500])
        except (Refusal, KeyError, TypeError):
            return Refusal(rule, "the interface refused it", status=response.status)


def _read(response: Response) -> Any:
    if len(response.body) > MAX_ANSWER_BYTES:
        raise Refusal("too-large", "the answer is larger than is read")
    try:
        return json.loads(response.body)
    except (ValueError, RecursionError) as error:
        raise Refusal("bad-answer", "the interface did not answer in JSON") from error


def _bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"} if token else {}


def _path(parts: tuple[str, ...], query: dict[str, str | int]) -> str:
    path = "/v1/" + "/".join(quote(part, safe="") for part in parts)
    given = {name: value for name, value in query.items() if value not in {"", 0}}
    return f"{path}?{urlencode(given)}" if given else path
