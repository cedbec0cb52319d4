"""Whole processes: servers, workers, phones over real sockets."""
