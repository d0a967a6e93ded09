"""6.1.1, the SCEP door (RFC 8894): what old devices speak."""
