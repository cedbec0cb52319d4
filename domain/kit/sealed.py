"""Personal values sealed at rest: AES-256-GCM with a key id, bound to the row they belong to.

A sealed value is `key id length (1 byte) + key id + nonce (12 bytes) + ciphertext`. New values use the active key; old
keys stay for opening. The `bound_to` text (for example "zone:<user id>") is authenticated, so that a value copied to
another row does not open.
"""

import hashlib
import os
from collections.abc import Mapping

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_NONCE_BYTES = 12


class SealBroken(Exception):
    """The value was not sealed by one of our keys, or for another row."""


class Sealer:
    """Seals and opens bytes with named keys; a key is any secret text, stretched to 256 bits by SHA-256."""

    def __init__(self, keys: Mapping[str, str], active: str) -> None:
        self._ciphers = {name: AESGCM(hashlib.sha256(secret.encode()).digest()) for name, secret in keys.items()}
        self._active = active

    def seal(self, plain: bytes, bound_to: str) -> bytes:
        """The sealed form of `plain`, different at every call."""
        nonce = os.urandom(_NONCE_BYTES)
        name = self._active.encode()
        return bytes([len(name)]) + name + nonce + self._ciphers[self._active].encrypt(nonce, plain, bound_to.encode())

    def open(self, sealed: bytes, bound_to: str) -> bytes:
        """The plain bytes. Raises SealBroken when the key is unknown, or the value was altered or moved."""
        end = 1 + sealed[0] if sealed else 0
        cipher = self._ciphers.get(sealed[1:end].decode("ascii", "replace"))
        if cipher is None:
            raise SealBroken("sealed with a key that is not configured")
        nonce, body = sealed[end : end + _NONCE_BYTES], sealed[end + _NONCE_BYTES :]
        try:
            return cipher.decrypt(nonce, body, bound_to.encode())
        except (InvalidTag, ValueError) as error:
            raise SealBroken("altered, or bound to another row") from error
