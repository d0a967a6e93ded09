"""The JSON interface of administration, described by OpenAPI 3.1.

Who reads has a session; who changes sends her signed word, and the session alone changes nothing.  Each path
has the rights that it takes, one of which is enough, in its own line.
"""

from __future__ import annotations

import logging
from typing import Any, Final

from litestar import Litestar, MediaType, Request, Response
from litestar.di import Provide
from litestar.exceptions import HTTPException
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin
from litestar.openapi.spec import Components, SecurityScheme

from e2s.base.errors import E2SError, Refusal
from e2s.base.refusals import RefusalCounter
from e2s.security.administration import asked, routes, routes_acts, routes_policy
from e2s.security.administration.answers import Problem
from e2s.security.administration.desk import Desk
from e2s.security.administration.logins import Logins, Session
from e2s.security.administration.problems import MEDIA_TYPE, problem, problem_of

_LOG = logging.getLogger("e2s.administration")
_BEARER: Final = "Bearer "
_RULES: Final = {404: "no-such-path", 405: "no-such-method", 400: "bad-request", 413: "too-large"}


class _Document(JsonRenderPlugin):
    """The document, in which what is asked has the members that are named and no other, as it is read."""

    def render(self, request: Request[Any, Any, Any], openapi_schema: dict[str, Any]) -> bytes:
        """The document as JSON."""
        for name, schema in openapi_schema["components"]["schemas"].items():
            if issubclass(getattr(asked, name, object), asked.Strict):
                schema["additionalProperties"] = False
        return super().render(request, openapi_schema)


def application(desk: Desk, logins: Logins) -> Litestar:
    """The interface as an ASGI application; to be served :func:`~e2s.network.sessions.guarding.guarded`."""
    counter = RefusalCounter(desk.office.component)

    def session_of(request: Request[Any, Any, Any]) -> Session:
        """Who asks, where she holds one of the rights that the path takes."""
        session = logins.session(_token(request))
        rights: tuple[str, ...] = request.route_handler.opt["rights"]
        if rights:
            desk.require(session.officer, *rights)
        return session

    def refused(_request: Request[Any, Any, Any], error: E2SError) -> Response[Problem]:
        if error.rule == "no-session":
            for event in counter.note("admin.refused", error.rule, desk.now()):
                with desk.database.transaction() as connection:
                    desk.event(connection, event.kind, event.at, event.facts, event.outcome)
        return _answer(problem_of(error))

    return Litestar(
        route_handlers=[*routes.HANDLERS, *routes_policy.HANDLERS, *routes_acts.HANDLERS],
        dependencies={
            "desk": Provide(lambda: desk, sync_to_thread=False, use_cache=True),
            "logins": Provide(lambda: logins, sync_to_thread=False, use_cache=True),
            "session": Provide(session_of, sync_to_thread=True),
            "token": Provide(_token, sync_to_thread=False),
        },
        before_request=_only_json,
        exception_handlers={E2SError: refused, HTTPException: _unfit, Exception: _failed},
        openapi_config=OpenAPIConfig(
            title="Administration of key management",
            version="1",
            description="A change is a signed word: draft it, sign its octets (CMS), send it to /v1/words.",
            path="/",
            render_plugins=[_Document(path="/openapi.json", media_type=MediaType.JSON)],
            components=Components(security_schemes={"token": SecurityScheme(type="http", scheme="bearer")}),
            security=[{"token": []}],
            use_handler_docstrings=True,
            operation_id_creator=lambda handler, _method, _path: handler.handler_name,
        ),
        logging_config=None,
        debug=False,
    )


async def _only_json(request: Request[Any, Any, Any]) -> None:
    """What is sent says that it is JSON: no form of another site can (Fetch, 2.2.2)."""
    sent = request.headers.get("content-length", "0") != "0" or "transfer-encoding" in request.headers
    if sent and request.content_type[0] != "application/json":
        raise Refusal("not-json", "send the content type application/json")


def _token(request: Request[Any, Any, Any]) -> str:
    """The token of a request; raises :class:`Refusal` ``no-session``."""
    said = request.headers.get("authorization", "")
    if not said.startswith(_BEARER):
        raise Refusal("no-session", "log in: no token was sent")
    return str(said.removeprefix(_BEARER))


def _unfit(_request: Request[Any, Any, Any], error: HTTPException) -> Response[Problem]:
    """What does not fit the document of the interface."""
    where = ", ".join(
        f"{one.get('key', '')}: {one.get('message', '')}".strip(": ")
        for one in (error.extra if isinstance(error.extra, list) else [])
        if isinstance(one, dict)
    )
    rule = _RULES.get(error.status_code, "bad-request")
    made = _answer(problem(error.status_code, rule, (where or error.detail)[:500]))
    if error.headers:
        made.headers.update(error.headers)
    return made


def _failed(request: Request[Any, Any, Any], error: Exception) -> Response[Problem]:
    """Whatever else went wrong stays here."""
    _LOG.error("unexpected error at %s %s", request.method, request.url.path, exc_info=error)
    return _answer(problem(500, "internal-error", "something went wrong here; the log says what"))


def _answer(found: Problem) -> Response[Problem]:
    headers = {"e2s-rule": found.rule}
    if found.status == 401:
        headers["www-authenticate"] = "Bearer"
    return Response(found, status_code=found.status, media_type=MEDIA_TYPE, headers=headers)
