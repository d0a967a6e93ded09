"""7.4: security events cannot be quietly rewritten.

One sequencer per party alone numbers events; each entry's digest covers the one before.  An event is
acknowledged only when it is durable, and entered once however often it is sent.
"""
