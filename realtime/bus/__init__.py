"""Redis between nodes: fan-out of live rows, takeovers, control events, the track stream. Knows no feature."""
