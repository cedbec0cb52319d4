"""Which web pages may connect: browsers say where a page is from, apps say nothing."""

from collections.abc import Mapping, Sequence


class Origins:
    """Decides about the Origin of a request. Header names are in lower case."""

    def __init__(self, allowed: Sequence[str] | None) -> None:
        """`allowed`: None is this server's own origin only; `*` is any."""
        self._allowed = None if allowed is None else frozenset((allowed,) if isinstance(allowed, str) else allowed)

    def allows(self, headers: Mapping[str, str], scheme: str) -> bool:
        """Whether the page may connect. `scheme`: http or https, as the request came in."""
        origin = headers.get("origin")
        if origin is None:
            return True
        if self._allowed is None:
            return origin in _own(headers, scheme)
        return origin in self._allowed or "*" in self._allowed


def _own(headers: Mapping[str, str], scheme: str) -> tuple[str, ...]:
    """The origins that this server has, as the browser or as the proxy before it names them."""
    host = headers.get("host", "")
    forwarded = headers.get("x-forwarded-host", host).split(",")[0].strip()
    outer = headers.get("x-forwarded-proto", scheme).split(",")[0].strip()
    return f"{scheme}://{host}", f"{outer}://{forwarded}"
