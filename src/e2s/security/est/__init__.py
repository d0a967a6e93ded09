"""6.1.1, the EST door and its client (RFC 7030, 8951): certificates over an authenticated session."""
