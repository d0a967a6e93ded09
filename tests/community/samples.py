"""Community files for the tests: the whole example, and the least that can run."""

from __future__ import annotations

from e2s.community.example import EXAMPLE_PORTS, example_file, free_ports

EXAMPLE = example_file(iter(range(20_000, 20_000 + EXAMPLE_PORTS)))


def least(ports=None) -> str:
    """One authority: its CA, its repository, its time stamps and its sequencer."""
    ports = iter(ports or free_ports(4))
    return f"""[community]
name = "least"

[trust]
authority = "authority"

[party.authority]
kind = "certification-authority"

[component.log]
party = "authority"
kind = "audit"
listen = "127.0.0.1:{next(ports)}"
compartment = "audit"
location = "DE"
plain_because = "one machine"

[component.ca]
party = "authority"
kind = "certification-authority"
listen = "127.0.0.1:{next(ports)}"
compartment = "ca"
location = "DE"
talks_to = ["log"]
plain_because = "one machine"

[component.repository]
party = "authority"
kind = "repository"
listen = "127.0.0.1:{next(ports)}"
compartment = "public"
location = "DE"
talks_to = ["ca", "log"]
plain_because = "one machine"

[component.stamps]
party = "authority"
kind = "time-stamping"
listen = "127.0.0.1:{next(ports)}"
compartment = "stamps"
location = "DE"
talks_to = ["log"]
plain_because = "one machine"
"""
