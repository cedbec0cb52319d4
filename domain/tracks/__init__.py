"""Tracks: what one phone recorded, fix by fix, from the first ack to the finished line with its statistics."""
