"""Where riders are now: who may see a fix, how often phones send, and what one phone has open."""
