"""Chapter 8, seen from the keyboard: each command composes the floors below and alone prints.

Exit status 0 done, 1 refused (or a peer did not answer), 2 misused.  What a program would want is a
document with ``--json``; a refusal then is one on the error output.
"""
