"""What the riders of the demonstration are called: their numbers are for logs, these are for people."""

_GIVEN = ("Ada", "Bruno", "Chiara", "Dario", "Elin", "Franz", "Greta", "Hugo", "Ines", "Jonas", "Klara", "Luca", "Mira")
_FAMILY = ("Alder", "Bianchi", "Conti", "Dietl", "Egger", "Ferrari", "Gruber", "Hofer", "Insam", "Kofler", "Lang")


def full_name_of(number: str) -> str | None:
    """The name of rider "1", "2", … (143 different ones), or None for what is no number."""
    if not number.isdigit():
        return None
    index = int(number) - 1
    return f"{_GIVEN[index % len(_GIVEN)]} {_FAMILY[index % len(_FAMILY)]}"
