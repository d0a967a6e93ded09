"""6.1, personal security environments: a private key signs or opens, and never comes out."""
