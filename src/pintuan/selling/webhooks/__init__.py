"""Webhooks: merchants' own systems are told what became of their groups and orders.

schemas.py    endpoints, deliveries and what is sent, as merchants see them
service.py    what merchants do with endpoints and their log
rates.py      how often a merchant may make us call a host
signing.py    secrets and signatures (Standard Webhooks)
addresses.py  which URLs and addresses may be called at all
sending.py    one attempt: resolve, check, connect, post, read a little
courier.py    fans events out and delivers what is due
"""
