"""6.1, withdrawal of rights: what was revoked is told by lists and by answers, and nothing else is told."""
