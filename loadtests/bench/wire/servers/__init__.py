"""Server processes that exist for the benchmark only."""
