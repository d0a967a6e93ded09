"""6.3.3: suites chosen by name and place, and the formats in which parties sign, seal and stamp.

Rules: every format is read strictly (DER, one encoding, bounded in depth, size and count); protocol
code names no algorithm; private keys are reached through the ports :class:`~e2s.crypto.ports.Signer`
and :class:`~e2s.crypto.ports.Opener` only; time and randomness arrive as arguments.
"""
