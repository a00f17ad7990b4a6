"""Prints what a file of Snappy's framing format holds. The frames are read by this program, as the
specification of the format says; the blocks by Google's library, which pyarrow brings."""

import sys

import pyarrow

TABLE = []
for value in range(256):
    for _ in range(8):
        value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
    TABLE.append(value)


def masked_crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc = crc >> 8 ^ TABLE[(crc ^ byte) & 255]
    crc ^= 0xFFFFFFFF
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def plain_size(block):
    size = 0
    for at, byte in enumerate(block):
        size |= (byte & 127) << 7 * at
        if byte < 128:
            return size


content = open(sys.argv[1], "rb").read()
assert content.startswith(b"\xff\x06\0\0sNaPpY")
while content:
    kind, size = content[0], int.from_bytes(content[1:4], "little")
    chunk, content = content[4 : 4 + size], content[4 + size :]
    if kind == 0xFF:
        assert chunk == b"sNaPpY"
        continue
    assert kind in (0, 1), kind
    plain = chunk[4:]
    if kind == 0:
        plain = pyarrow.Codec("snappy").decompress(plain, plain_size(plain), asbytes=True)
    assert masked_crc32c(plain) == int.from_bytes(chunk[:4], "little")
    sys.stdout.buffer.write(plain)
