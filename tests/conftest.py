"""Settings of all tests: Hypothesis profiles, and under CI no test may be skipped."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from e2s.base.database import Database

# No test is judged by a clock, so there is no deadline; CI repeats the same examples.
settings.register_profile("default", deadline=None, max_examples=100)
settings.register_profile("ci", deadline=None, max_examples=100, derandomize=True, print_blob=True)
settings.register_profile(
    "soak", deadline=None, max_examples=5000, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci" if os.environ.get("CI") else "default"))


@pytest.fixture(scope="module", autouse=True)
def _databases_are_given_back() -> Iterator[None]:
    """What a module's worlds left open is closed behind it: thousands of tests share one process's descriptors.

    A database that is used again opens its connections again.
    """
    opened: list[Database] = []
    create = Database.__init__

    def creating(self: Database, *given: object, **more: object) -> None:
        create(self, *given, **more)  # type: ignore[arg-type]  # as it was called
        opened.append(self)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Database, "__init__", creating)
        yield
    for one in opened:
        one.close()


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail the run under CI when a test was skipped: a tool that is missing there is a fault of ours."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if os.environ.get("CI") and reporter is not None and reporter.stats.get("skipped"):
        reporter.write_line("tests were skipped, which CI does not allow", red=True)
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
