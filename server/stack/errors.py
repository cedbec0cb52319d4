"""What goes wrong with the private servers, in words that say what to do next."""


class StackError(Exception):
    """A private server could not be prepared, started or stopped; the message names the next step."""
