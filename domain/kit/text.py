"""Text from outside, made safe to store: what Postgres or a terminal cannot hold is refused, with the field named."""

import unicodedata

from domain.kit.errors import Invalid

_REFUSED = frozenset({"Cc", "Cs"})
"""Control characters (NUL cannot be stored at all) and lone surrogates (not text)."""


def clean(value: str, field: str, *, shortest: int = 1, longest: int) -> str:
    """The text in Unicode's composed form (NFC), between `shortest` and `longest` characters, one line.

    Raises Invalid, naming `field`.
    """
    if len(value) > longest:
        raise Invalid(f"must have at most {longest} characters", field=field)
    for position, character in enumerate(value):
        if unicodedata.category(character) in _REFUSED:
            raise Invalid(f"has a control character or half a surrogate pair at position {position}", field=field)
    composed = unicodedata.normalize("NFC", value)
    if not shortest <= len(composed) <= longest:
        raise Invalid(f"must have between {shortest} and {longest} characters", field=field)
    if composed != composed.strip():
        raise Invalid("must not begin or end with white space", field=field)
    return composed


def folded(value: str) -> str:
    """The form in which two spellings of one name are equal: compatibility composed, without regard to case."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", value).casefold())
