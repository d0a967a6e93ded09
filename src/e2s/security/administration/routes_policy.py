"""What officers read of policies and of proposals to change them."""

from __future__ import annotations

from typing import Annotated, Final

from litestar import post
from litestar.params import JSONBody, PathParameter, QueryParameter

from e2s.security.administration import answers, asked, views
from e2s.security.administration.routes import POLICIES, Here, Known, problems, reading

_NAME: Final = PathParameter(pattern=r"^[a-z-]{1,64}$", max_length=64)
_NUMBER: Final = PathParameter(ge=1, le=2**53 - 1)
_STATE: Final = QueryParameter(name="state")


@reading("/v1/policies", *POLICIES)
def policies(desk: Here, session: Known) -> answers.Policies:
    """The policies that there are."""
    del session
    return views.policies_(desk)


@reading("/v1/policies/{name:str}", *POLICIES)
def policy(desk: Here, session: Known, name: Annotated[str, _NAME]) -> answers.Policy:
    """What a policy says, and its versions."""
    del session
    return views.policy(desk, name)


@reading("/v1/policies/{name:str}/versions/{number:int}", *POLICIES)
def version(
    desk: Here, session: Known, name: Annotated[str, _NAME], number: Annotated[int, _NUMBER]
) -> answers.Policy:
    """What a policy said in a version."""
    del session
    return views.policy(desk, name, number)


@post(
    "/v1/policies/{name:str}/effect",
    rights=POLICIES,
    responses=problems(),
    sync_to_thread=True,
    status_code=200,
)
def policy_effect(
    desk: Here, session: Known, name: Annotated[str, _NAME], data: JSONBody[asked.Text]
) -> answers.Effect:
    """What a text would change in a policy: a dry run."""
    del session
    return views.would(desk, name, data.content.encode())


@reading("/v1/proposals", *POLICIES)
def proposals(
    desk: Here, session: Known, now: Annotated[asked.ProposalState | None, _STATE] = None
) -> answers.Proposals:
    """The newest proposals."""
    del session
    return views.proposals(desk, state=now or "")


@reading("/v1/proposals/{number:int}", *POLICIES)
def proposal(desk: Here, session: Known, number: Annotated[int, _NUMBER]) -> answers.Proposal:
    """A proposal, with what it would change."""
    del session
    return views.proposal(desk, number)


HANDLERS: Final = (policies, policy, version, policy_effect, proposals, proposal)
