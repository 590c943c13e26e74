"""Events that payment gateways tell us by webhook.

An event changes no order: it makes us look. An event of something that we did not ask for is kept, logged and
counted, for a person to see.
"""
