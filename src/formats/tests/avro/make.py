"""Writes the Avro files of the tests and what their records are as JSON, with fastavro 1.13.1.

    pip install fastavro==1.13.1 cramjam backports.zstd && python make.py
"""

import base64
import datetime as d
import decimal
import json
import uuid

import fastavro

SCHEMA = {"type": "record", "name": "Event", "namespace": "example", "fields": [
    {"name": "n", "type": "null"}, {"name": "b", "type": "boolean"},
    {"name": "i", "type": "int"}, {"name": "l", "type": "long"},
    {"name": "f", "type": "float"}, {"name": "d", "type": "double"},
    {"name": "by", "type": "bytes"}, {"name": "s", "type": "string"},
    {"name": "fx", "type": {"type": "fixed", "name": "F4", "size": 4}},
    {"name": "e", "type": {"type": "enum", "name": "E", "symbols": ["A", "B"]}},
    {"name": "e2", "type": "E"},
    {"name": "a", "type": {"type": "array", "items": "int"}},
    {"name": "m", "type": {"type": "map", "values": "string"}},
    {"name": "u", "type": ["null", "string", "long"]},
    {"name": "date", "type": {"type": "int", "logicalType": "date"}},
    {"name": "tm", "type": {"type": "int", "logicalType": "time-millis"}},
    {"name": "tu", "type": {"type": "long", "logicalType": "time-micros"}},
    {"name": "tsm", "type": {"type": "long", "logicalType": "timestamp-millis"}},
    {"name": "tsu", "type": {"type": "long", "logicalType": "timestamp-micros"}},
    {"name": "lt", "type": {"type": "long", "logicalType": "local-timestamp-micros"}},
    {"name": "dec", "type": {"type": "bytes", "logicalType": "decimal", "precision": 40, "scale": 3}},
    {"name": "decf", "type": {"type": "fixed", "name": "D8", "size": 8, "logicalType": "decimal",
                              "precision": 18, "scale": 2}},
    {"name": "uu", "type": {"type": "string", "logicalType": "uuid"}},
    {"name": "next", "type": ["null", "Event"], "default": None}]}


def record(k, below=None):
    sign, utc = (-1 if k % 2 else 1), d.timezone.utc
    return {
        "n": None, "b": k % 2 == 0, "i": sign * 2147483647, "l": sign * 9223372036854775807,
        "f": sign * 1.5 * 10**k, "d": sign * 0.1 * 10 ** (3 * k), "by": bytes([k, 255, 0]),
        "s": 'é"\\%d' % k, "fx": bytes([k, 1, 2, 3]), "e": "AB"[k % 2], "e2": "B",
        "a": list(range(-k, k)), "m": {"k%d" % j: "v" * j for j in range(k)},
        "u": [None, "x", sign * 7][k % 3], "date": d.date(1969, 12, 31) + d.timedelta(days=k * 400),
        "tm": d.time(23, 59, 59, 999000), "tu": d.time(0, 0, k, k + 1),
        "tsm": d.datetime(1969, 12, 31, 23, 59, 59, k * 1000, tzinfo=utc),
        "tsu": d.datetime(2026, 10, 11, 22, 14, 15, k, tzinfo=utc),
        "lt": d.datetime(2026, 10, 11, 22, 14, 15, 123456),
        "dec": sign * decimal.Decimal("1234567890123456789012345678901.234"),
        "decf": sign * decimal.Decimal("0.05"), "uu": uuid.UUID(int=2**127 + k), "next": below}


def as_json(value):
    if isinstance(value, dict):
        return {name: as_json(inner) for name, inner in value.items()}
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, (d.time, d.datetime)):
        text, _, zone = value.isoformat().partition("+")
        return (text.rstrip("0").rstrip(".") if "." in text else text) + ("Z" if zone else "")
    if isinstance(value, (d.date, decimal.Decimal, uuid.UUID)):
        return str(value)
    return value


decimal.getcontext().prec = 60
records = [record(0), record(1), record(2, record(3)), record(4)]
for codec in ["null", "deflate", "snappy", "zstandard"]:
    with open(f"{codec}.avro", "wb") as file:
        fastavro.writer(file, fastavro.parse_schema(SCHEMA), records, codec=codec,
                        sync_interval=300, sync_marker=b"0123456789abcdef")
with open("records.jsonl", "w") as file:
    for made in records:
        print(json.dumps(as_json(made), ensure_ascii=False, separators=(",", ":")), file=file)
