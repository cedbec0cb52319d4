"""What came with an event, an ack or a CONNECT: decoded when its reader says into what.

JSON stays text until then, so that a contract's payload goes straight into its type; values of msgpack and values with
attachments are plain Python already.
"""

from typing import Generic, TypeVar

import msgspec

P = TypeVar("P")

_decode = msgspec.json.Decoder().decode


class PayloadDecoder(Generic[P]):
    """Decodes an argument straight into `kind`, equally strict in both formats; made once for each contract."""

    def __init__(self, kind: type[P]) -> None:
        self.json = msgspec.json.Decoder(kind)
        self._kind = kind

    def plain(self, value: object) -> P:
        """The same of a value in plain Python, as if it had come as JSON."""
        return msgspec.convert(value, self._kind, str_keys=True)


class Arguments(msgspec.Struct, eq=False):
    """Values as they arrived, as JSON."""

    raw: list[msgspec.Raw]
    size: int
    """Bytes, those of attachments included."""
    binary: bool = False
    """Whether any value is binary: no contract has one."""

    def __len__(self) -> int:
        return len(self.raw)

    def decode(self, decoder: PayloadDecoder[P]) -> P:
        """The first argument as the decoder's type.

        Raises msgspec.ValidationError (its message names the field as a path), msgspec.DecodeError or RecursionError.
        """
        return decoder.json.decode(self.raw[0])

    def values(self) -> list[object]:
        """All arguments in plain Python; binary ones are `bytes`. Raises ValueError (of which DecodeError is one)."""
        return [_decode(raw) for raw in self.raw]


class PlainArguments(Arguments, eq=False):
    """Values that are plain Python already."""

    plain: list[object] = msgspec.field(default_factory=list)

    def __len__(self) -> int:
        return len(self.plain)

    def decode(self, decoder: PayloadDecoder[P]) -> P:
        """See `Arguments.decode`."""
        return decoder.plain(self.plain[0])

    def values(self) -> list[object]:
        """See `Arguments.values`."""
        return self.plain
