"""Durable events: numbered within their stream, kept, read again by whoever missed them."""
