"""Values that travel in packets, for tests that look for the one that does not."""

from typing import Any

from hypothesis import strategies as st

SAFE = 2**53 - 1
"""JavaScript counts no further exactly."""

NAMES = st.text(max_size=8).filter(lambda name: name not in ("_placeholder", "__proto__") and name[:1] != "$")
EVENT_NAMES = NAMES.filter(
    lambda name: (
        name not in ("connect", "connect_error", "disconnect", "disconnecting", "newListener", "removeListener")
    )
)
NAMESPACES = st.sampled_from(["/", "/custom", "/a/b", "/é"])
ACK_IDS = st.none() | st.integers(0, 10**15)
_SIMPLE = (
    st.none()
    | st.booleans()
    | st.integers(-SAFE, SAFE)
    | st.floats(-1e15, 1e15).map(lambda number: number + 0.0)
    | st.text(max_size=40)
)


def _nested(simple: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.recursive(
        simple,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
        max_leaves=6,
    )


JSON_VALUES = _nested(_SIMPLE)
BINARY_VALUES = _nested(_SIMPLE | st.binary(max_size=300))
