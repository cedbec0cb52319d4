"""What workers do for durable streams: history ends at some age."""
