"""6.1.1, the ACME door and its client (RFC 8555): who controls a host has it certified."""
