"""Payments: what a gateway must do, the sandbox one, and the executor of the operations that are due.

Read in this order: `gateway` (the protocol), `decision` (what an answer means for an order), `operations`
(the executor), `store` (its statements), `sandbox` (a gateway with its own books).
"""
