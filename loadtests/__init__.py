"""Replay of tracks, benchmarks and load scenarios: clients of the real protocol."""
