"""Chapter 6.1, security management: keys, the trust centre's certificates, and one verifier for all."""
