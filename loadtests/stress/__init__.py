"""Stress: two nodes or more, a worker and their stores, real clients, and faults drawn from a seed while they work.

Run it as `python -m loadtests.stress --seed N`, or `make stress`. What is checked and how is told in docs/stress.md.
"""
