"""Benchmarks: this system and its peers or floors, side by side in interleaved rounds of one run."""
