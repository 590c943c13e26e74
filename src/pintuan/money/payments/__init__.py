"""Payments: the tasks of a gateway, the sandbox one, and the executor of due operations.

Read in this order: `gateway` (the protocol), `decision` (the consequence of an answer for an order),
`operations` (the executor), `store` (its statements), `sandbox` (a gateway with its own books).
"""
