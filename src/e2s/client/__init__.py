"""Chapter 5: what users hold; it shares protocols and formats with the servers, and no code of theirs."""
