"""Events of orders and groups, and how the nouns above them hear of these.

Triggers tell an event in the transaction in which it happens, with a row in `events` for each noun that hears
its type (`listeners`). A noun hears its rows in the transaction that writes what it makes of them.

event.py      an event, and what a noun does about it
store.py      rows that are waiting, and taking them
hearing.py    how one noun hears of its events, exactly once
jobs.py       the job that lets all of them hear
"""
