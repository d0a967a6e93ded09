"""What parties must prove is an act: a document, signed, over the whole acts it answers.

Identity of an act is ``#X`` = SHA-256 of its eContent (the Act), never of its signature: signatures
are malleable.  ``over`` holds whole inner ContentInfos byte for byte (protocol, section 1).
"""
