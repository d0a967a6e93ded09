"""6.1.1, the CMP door and its client (RFC 9810, 9483): each message is protected by itself."""
