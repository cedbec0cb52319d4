"""Background processes: the track writer and what finishes tracks."""
