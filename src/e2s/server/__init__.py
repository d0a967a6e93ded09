"""Chapter 7: servers of a party: what faces users is kept apart from what holds keys and records."""
