"""Tracks as files: written as GPX and GeoJSON, read from GPX."""
