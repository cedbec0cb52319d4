"""How deep the arrays and objects of a JSON text go, at the cost of a few passes in C. Pure."""

from itertools import accumulate

_OTHERS = bytes(byte for byte in range(256) if byte not in b'[]{}"')
_STEPS = bytes.maketrans(b"[{]}", b"\x01\x01\xff\xff")
"""One deeper, and one less deep as a signed byte."""


def containers(text: str) -> int:
    """How many arrays and objects a JSON text has, at most: brackets in strings are counted, too."""
    return text.count("[") + text.count("{")


def deeper_than(most: int, text: str) -> bool:
    """Whether text that is valid JSON nests arrays and objects more than so many times."""
    if len(text) <= 2 * most or containers(text) <= most:
        return False
    # Escaped backslashes first: one still before a quote escapes it. Every other part is outside of strings.
    quoted = text.encode(errors="replace").replace(b"\\\\", b"").replace(b'\\"', b"").translate(_STEPS, _OTHERS)
    steps = b"".join(quoted.split(b'"')[::2])
    return max(accumulate(memoryview(steps).cast("b")), default=0) > most
