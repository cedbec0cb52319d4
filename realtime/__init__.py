"""The live side: wire (bytes), bus (between nodes), hub (who hears what), gateway (contracts), handlers (features)."""
