"""Verify: the whole system on a fresh stack, every track ridden, a worker killed in the middle, every fix checked.

Two nodes and a worker run as processes of their own, started by the commands an operator uses. Run it as
`python -m loadtests.verify --tracks DIR`, or `make verify-tracks TRACKS=DIR`.
"""
