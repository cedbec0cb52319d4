"""Engine.IO 4 and Socket.IO 5 for the live side: bytes in, bytes out. Knows no feature and no rider."""
