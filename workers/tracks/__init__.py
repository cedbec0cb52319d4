"""From the track stream to PostGIS, exactly once; then each track's line and figures."""
