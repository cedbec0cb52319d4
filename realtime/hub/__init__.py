"""Topics, listeners, ticks: who hears what, newest wins. Knows no feature and no wire format but its own frames."""
