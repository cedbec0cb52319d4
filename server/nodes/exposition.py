"""Texts of metrics of several nodes as one: each line says whose it is, each family is described once."""

from collections.abc import Iterable, Mapping

UP = "throttlecove_node_up"
_UP_MEANING = "1 for each node behind this port that answers its siblings."


def join(texts: Mapping[str, bytes | None]) -> bytes:
    """One valid exposition (Prometheus' text format) of those of all nodes; None is a node that does not answer."""
    families: dict[str, list[str]] = {}
    for node, text in texts.items():
        if text is not None:
            _add(families, node, text.decode().split("\n"))
    ups = [f'{UP}{{node="{node}"}} {float(text is not None)}' for node, text in texts.items()]
    families[UP] = [f"# HELP {UP} {_UP_MEANING}", f"# TYPE {UP} gauge", *ups]
    return "".join(f"{line}\n" for lines in families.values() for line in lines).encode()


def _add(families: dict[str, list[str]], node: str, lines: Iterable[str]) -> None:
    """One node's lines, each family's behind what is there of it: the format wants them together."""
    label = f'node="{node}"'
    family: list[str] = []
    described = False
    for line in filter(None, lines):
        if line.startswith("# HELP "):
            name = line.split(" ", 3)[2]
            described = name in families
            family = families.setdefault(name, [])
        if not line.startswith("#"):
            family.append(_labelled(line, label))
        elif not described:
            family.append(line)


def _labelled(sample: str, label: str) -> str:
    """The sample with one more label; a name has neither a brace nor a space in it."""
    name, brace, rest = sample.partition("{")
    if brace and " " not in name:
        return f"{name}{{{label},{rest}"
    name, _, value = sample.partition(" ")
    return f"{name}{{{label}}} {value}"
