"""Commands of chapter 4: check, start, watch and stop a community, and see what this machine lacks."""

from __future__ import annotations

import logging
import secrets
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from e2s.base.errors import Refusal
from e2s.base.instants import SystemClock
from e2s.cli.report import Json, document, say, table

if TYPE_CHECKING:
    from e2s.community.home import CommunityHome
    from e2s.network.sessions.client import HttpExchange

app = typer.Typer(no_args_is_help=True, add_completion=False, rich_markup_mode=None)

File = typer.Argument(Path("community.toml"), help="The community file, or the folder that it stands in.")


def _file(path: Path) -> Path:
    return path / "community.toml" if path.is_dir() else path


@app.command(epilog="Example: e2s check market/community.toml")
def check(file: Path = File, as_json: bool = Json) -> None:
    """Say what in a community file does not conform."""
    from e2s.community.conformance import RULES, findings
    from e2s.community.file import load_community

    community = load_community(_file(file))
    found = findings(community, at=SystemClock().now())
    if as_json:
        rows = [
            {
                "number": f.rule.number,
                "rule": f.rule.name,
                "clause": f.rule.clause,
                "where": f.where,
                "what": f.what,
            }
            for f in found
        ]
        document({"community": community.name, "rules": len(RULES), "findings": rows})
    else:
        for finding in found:
            say(str(finding))
        parts = f"{len(community.parties)} parties, {len(community.components)} components"
        say(f"{community.name}: {parts}, {len(RULES)} rules, {len(found)} findings")
    if found:
        raise typer.Exit(1)


@app.command(epilog="Example: e2s up market/community.toml")
def up(
    file: Path = File,
    found: bool = typer.Option(True, help="Make keys and certificates first where there are none."),
    as_json: bool = Json,
) -> None:
    """Start every component of a community that does not run, and wait until each answers."""
    from e2s.community import founding, processes
    from e2s.community.conformance import require_conforming
    from e2s.community.file import load_community
    from e2s.community.home import CommunityHome
    from e2s.community.making import Tools

    path = _file(file).absolute()
    community = load_community(path)
    require_conforming(community, at=SystemClock().now())
    whole = CommunityHome.of_file(path)
    tell = (lambda _: None) if as_json else say
    if found and not whole.founded:
        tools = Tools(clock=SystemClock(), random=secrets.token_bytes)
        founding.found(community, whole, tools, tell)
    started = processes.start(community, whole, path, _exchange(whole), tell)
    if as_json:
        document({"community": community.name, "started": started})
    else:
        ran = len(community.components) - len(started)
        say(f"{community.name}: {len(started)} started, {ran} ran already")


@app.command(epilog="Example: e2s status market/community.toml --json")
def status(file: Path = File, as_json: bool = Json) -> None:
    """Show which components run and answer; status 1 when one does not."""
    from e2s.community import processes
    from e2s.community.file import load_community
    from e2s.community.home import CommunityHome

    path = _file(file)
    whole = CommunityHome.of_file(path)
    found = processes.states(load_community(path), whole, _exchange(whole))
    if as_json:
        document([asdict(state) for state in found])
    else:
        rows = [(s.name, s.party, s.kind, s.origin, str(s.pid or "-"), s.state) for s in found]
        table(("component", "party", "kind", "address", "pid", "state"), rows)
    if any(state.state != "ready" for state in found):
        raise typer.Exit(1)


@app.command(epilog="Example: e2s down market/community.toml")
def down(file: Path = File, as_json: bool = Json) -> None:
    """Stop every component of a community; what is begun is finished first."""
    from e2s.community import processes
    from e2s.community.file import load_community
    from e2s.community.home import CommunityHome

    path = _file(file)
    tell = (lambda _: None) if as_json else say
    stopped = processes.stop(load_community(path), CommunityHome.of_file(path), tell)
    if as_json:
        document({"stopped": stopped})
    else:
        say(f"{len(stopped)} stopped")


@app.command(epilog="Example: e2s component market/community.toml volt-purchasing")
def component(
    file: Path = typer.Argument(..., help="The community file."),
    name: str = typer.Argument(..., help="The component's name in it."),
) -> None:
    """Run one component in the foreground until SIGTERM: what `e2s up` starts for each."""
    from e2s.community.file import load_community
    from e2s.community.home import CommunityHome
    from e2s.community.running import place_of, run_component

    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s: %(message)s", level=logging.INFO)
    path = _file(file)
    whole = CommunityHome.of_file(path)
    place = place_of(load_community(path), whole, name, clock=SystemClock(), random=secrets.token_bytes)
    run_component(place, ready=lambda: say(f"{name} ready at {place.component.origin}"))


@app.command(epilog="Example: e2s doctor")
def doctor(
    file: Path | None = typer.Argument(None, help="A community file whose ports and home are looked at too."),
    as_json: bool = Json,
) -> None:
    """Say what this machine lacks to run E2S; status 1 when it lacks what is needed."""
    from e2s.community.doctor import examine
    from e2s.community.file import load_community

    if file is None:
        found = examine(Path.cwd(), SystemClock())
    else:
        path = _file(file).absolute()
        found = examine(path.parent, SystemClock(), load_community(path))
    if as_json:
        document([asdict(symptom) for symptom in found])
    else:
        for symptom in found:
            say(f"{symptom.state:<7} {symptom.what}: {symptom.detail}")
    if any(symptom.state == "lacks" for symptom in found):
        raise typer.Exit(1)


def _exchange(whole: CommunityHome) -> HttpExchange:
    """How this command asks health doors."""
    from e2s.network.sessions.client import HttpExchange

    if not whole.founded:
        raise Refusal("not-founded", "this community has no keys yet: e2s up makes them")
    return HttpExchange(anchors=b"".join(c.pem for c in whole.anchors()), timeout_seconds=5)
