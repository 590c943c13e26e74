"""Nudges: messages to members of a group that they did not ask for, once each.

timing.py    whether a nudge is for now, for later or for nobody
messages.py  what it says, in the reader's language
store.py     nudges that are due, and the members they are for
service.py   tells those that are due
"""
