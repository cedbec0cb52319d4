"""Replay: riders that ride recorded or generated tracks against a running server, over the real protocol.

Knows the live contract and the tables, and imports nothing of the server's code, so that it judges from outside: what
was acknowledged must be in PostGIS exactly once. Run it as `python -m loadtests.replay`.
"""
