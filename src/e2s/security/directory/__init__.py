"""6.1.1, the directory: certificates and lists in LDAP, where anybody looks them up (RFC 4523)."""
