"""Writes the Parquet files of the tests and what their records are as JSON, with pyarrow 26.

    pip install pyarrow && python make.py
"""

import base64
import datetime
import decimal
import json

import pyarrow as pa
import pyarrow.parquet as pq

D = decimal.Decimal
decimal.getcontext().prec = 60
UTC = datetime.timezone.utc
DAY = datetime.datetime(2026, 11, 21, 13, 5, 6, 789012)

SCHEMA = pa.schema([
    pa.field("id", pa.int64(), nullable=False),
    pa.field("small", pa.uint8()),
    pa.field("large", pa.uint64()),
    pa.field("half", pa.float16()),
    pa.field("single", pa.float32()),
    pa.field("double", pa.float64()),
    pa.field("flag", pa.bool_()),
    pa.field("text", pa.large_string()),
    pa.field("word", pa.dictionary(pa.int32(), pa.string())),
    pa.field("bytes", pa.binary()),
    pa.field("fixed", pa.binary(3)),
    pa.field("d9", pa.decimal128(9, 2)),
    pa.field("d38", pa.decimal128(38, 10)),
    pa.field("date", pa.date32()),
    pa.field("time_ms", pa.time32("ms")),
    pa.field("time_us", pa.time64("us")),
    pa.field("at_ms", pa.timestamp("ms", tz="UTC")),
    pa.field("at_us", pa.timestamp("us", tz="UTC")),
    pa.field("local", pa.timestamp("us")),
    pa.field("list", pa.list_(pa.int32())),
    pa.field("lists", pa.list_(pa.list_(pa.string()))),
    pa.field("map", pa.map_(pa.string(), pa.list_(pa.int64()))),
    pa.field("struct", pa.struct([("a", pa.int32()), ("b", pa.struct([("c", pa.list_(pa.string()))]))])),
    pa.field("structs", pa.list_(pa.struct([("x", pa.int32()), ("y", pa.list_(pa.float64()))]))),
])


def record(n):
    """Each kind of nothing in turn: null, empty, and with nulls in it."""
    kind = n % 5
    if kind == 0:
        return {field.name: (n if field.name == "id" else None) for field in SCHEMA}
    at = DAY + datetime.timedelta(hours=n, microseconds=n)
    return {
        "id": n,
        "small": 255 - n % 200,
        "large": 2**64 - 1 - n,
        "half": 0.5 * n,
        "single": 0.25 * n,
        "double": -1e300 / (n + 1),
        "flag": n % 2 == 0,
        "text": "" if kind == 1 else f"grüße {n}\n\"",
        "word": ["red", "green", "blue"][n % 3],
        "bytes": bytes([n % 256, 0]),
        "fixed": bytes([n % 256] * 3),
        "d9": D(n * 101 - 5000).scaleb(-2),
        "d38": D(n * 7919).scaleb(-10) - D(10) ** 27,
        "date": at.date(),
        "time_ms": at.replace(microsecond=at.microsecond // 1000 * 1000).time(),
        "time_us": at.time(),
        "at_ms": at.replace(microsecond=at.microsecond // 1000 * 1000, tzinfo=UTC),
        "at_us": at.replace(tzinfo=UTC),
        "local": at,
        "list": [[], [1, None, n], None, [None]][kind - 1],
        "lists": [[], [[], ["a"], None, [None, "b"]], [[]], None][kind - 1],
        "map": [[], [("k", [1, 2]), ("l", None)], None, [("m", [])]][kind - 1],
        "struct": [{"a": None, "b": None}, {"a": 1, "b": {"c": ["x", None]}}, None, {"a": 2, "b": {"c": []}}][kind - 1],
        "structs": [[], [{"x": 1, "y": []}, None, {"x": None, "y": [1.5, None]}], None, [{"x": 7, "y": None}]][kind - 1],
    }


def digits(at):
    """A time as jiff writes it: as many digits of the second as there are."""
    text = at.isoformat()
    return text.rstrip("0") if "." in text else text


def plain(name, value):
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, D):
        return f"{value:f}"
    if isinstance(value, datetime.datetime):
        if value.tzinfo is None:
            return digits(value)
        return digits(value.replace(tzinfo=None)) + "Z"
    if isinstance(value, datetime.time):
        return digits(value)
    if isinstance(value, datetime.date):
        return value.isoformat()
    if name == "map":
        return {key: item for key, item in value}
    if isinstance(value, dict):
        return {key: plain(key, item) for key, item in value.items()}
    return [plain(name, item) for item in value]


def main():
    records = [record(n) for n in range(60)]
    table = pa.Table.from_pylist(records, SCHEMA)
    for name, options in {
        "none": {"compression": "none", "use_dictionary": False},
        "snappy": {"compression": "snappy", "row_group_size": 23},
        "gzip": {"compression": "gzip", "data_page_version": "2.0"},
        "zstd": {"compression": "zstd", "data_page_size": 64, "write_page_index": True},
        "old": {"compression": "snappy", "version": "1.0", "use_compliant_nested_type": False},
    }.items():
        pq.write_table(table, f"{name}.parquet", **options)
    times = pa.table({"at": pa.array([DAY, None], pa.timestamp("ns"))})
    pq.write_table(times, "int96.parquet", use_deprecated_int96_timestamps=True)
    with open("records.jsonl", "w") as lines:
        for each in records:
            each = {name: plain(name, value) for name, value in each.items()}
            lines.write(json.dumps(each, ensure_ascii=False) + "\n")


main()
