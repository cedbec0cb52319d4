"""Locust scenarios over real Socket.IO and REST. Run by `make load`, or by Locust itself with this folder's locustfile.

Importing Locust replaces Python's sockets: nothing outside this folder does it, and this file does not either.
"""
