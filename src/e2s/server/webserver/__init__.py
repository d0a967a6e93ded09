"""7.1: the web server in two parts: outside it carries and shows, inside it understands and signs."""
