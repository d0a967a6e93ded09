"""The buyer's wallet and the purchasing manager's desk (chapter 5; 6.2.1.1, 6.2.2).

What is signed is what was shown, octet by octet; what was signed is stored before it is sent; nothing of
a peer's is believed before it was checked here; and a pass phrase is used once and forgotten.
"""
