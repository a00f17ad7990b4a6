"""Writes lines.txt: a thousand times as logs have them, and what Python says they are.

A line is a format of `parse_timestamp`, the text, and the time in UTC or `!`, between tabs. Times
without a zone are in Berlin; those that the clocks showed twice or skipped are left out.

    python make.py
"""

import datetime as d
import random
import zoneinfo

BERLIN = zoneinfo.ZoneInfo("Europe/Berlin")
random.seed(20261121)


def utc(time):
    text = time.astimezone(d.timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%f").rstrip("0").rstrip(".")
    return text + "Z"


def moment():
    second = random.randrange(946_684_800, 2_208_988_800)
    return d.datetime.fromtimestamp(second, d.timezone.utc)


def berlin(time):
    """The local time, when it says which one is meant."""
    local = time.astimezone(BERLIN).replace(tzinfo=None)
    fold = {utc(local.replace(tzinfo=BERLIN, fold=fold)) for fold in (0, 1)}
    return local if fold == {utc(time)} else None


def zoned(time):
    minutes = random.choice([0, 60, 120, -300, -420, 330, 345, 765])
    return time.astimezone(d.timezone(d.timedelta(minutes=minutes)))


def line():
    time = moment()
    kind = random.randrange(8)
    if kind == 0:
        return "%d/%b/%Y:%H:%M:%S %z", zoned(time).strftime("%d/%b/%Y:%H:%M:%S %z"), utc(time)
    if kind == 1:
        time += d.timedelta(milliseconds=random.randrange(1000))
        return "iso8601", zoned(time).isoformat(timespec="milliseconds"), utc(time)
    if kind == 2:
        fraction = random.choice(["", ".5", ".250", ".000001"])
        time += d.timedelta(seconds=float(fraction or 0))
        return "unix", f"{int(time.timestamp())}{fraction}", utc(time)
    if kind == 3:
        time += d.timedelta(milliseconds=random.randrange(1000))
        return "unix_ms", str(round(time.timestamp() * 1000)), utc(time)
    if kind == 4:
        return "%a, %d %b %Y %H:%M:%S %z", zoned(time).strftime("%a, %d %b %Y %H:%M:%S %z"), utc(time)
    if kind == 5:
        bad = random.choice([
            ("%Y-%m-%d %H:%M:%S", "2026-02-30 12:00:00"), ("%Y-%m-%d %H:%M:%S", "2026-10-11 25:00:00"),
            ("%Y-%m-%d %H:%M:%S", "2026-10-11"), ("%d/%b/%Y:%H:%M:%S %z", "11/Okt/2026:22:14:15 +0200"),
            ("iso8601", "11.10.2026"), ("iso8601", "2026-13-01T00:00:00Z"), ("unix", "12h"),
            ("unix_ms", "-"), ("%Y/%m/%d %H:%M:%S", "2026/10/11 22:14:15 "),
        ])
        return *bad, "!"
    local = berlin(time)
    if local is None:
        return line()
    format = random.choice(["%Y-%m-%d %H:%M:%S", "%Y/%m/%d %H:%M:%S", "%b %d %Y %H:%M:%S", "%d.%m.%Y %H:%M:%S"])
    return format, local.strftime(format), utc(time)


with open("lines.txt", "w") as out:
    for _ in range(1000):
        out.write("\t".join(line()) + "\n")
