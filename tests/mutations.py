"""Damaged and crafted inputs: mutations of good ones, drawn by a generator of random numbers."""

from __future__ import annotations

import copy
import io
import json
import re

import numpy as np

#: What people, spreadsheets and crafters put in the place of a word or number.
NASTY = (
    *("[" * 2000, "{" * 500, "x" * 131_073, "1" * 5000, "1e999", "nan", "-inf", "inf", "1e30", "-1", "0", "1e308", "3"),
    *("10000000000000000000000", "1e-320", "-0.0", "1_000", "0x10", "\0", "\x1b[2J", '"', "'", '"""', "\ufeff", "é"),
    *("=cmd|' /C calc'!A0", "@x", "true", "[]", "{}", "[1, 2]", '"text"', "1979-05-27", "1979-05-27T07:32:00Z", "\r"),
    *("\n", ",", ";", "=", ".", "[", "]", "\t", " ", "#", "[1e999]", "{a=1}", '[["a"]]', "<script>alert(1)</script>"),
)
_WORD = re.compile(r"-?\d[\d.eE+-]*|\"[^\"\n]*\"|[A-Za-z_]\w*")


def text(good, r):
    """A text with words, pieces, lines or bytes that are others, too many or missing."""
    for _ in range(r.choice([1, 1, 1, 2, 3])):
        kind, lines = r.randrange(7), good.split("\n")
        if kind <= 2 and (words := list(_WORD.finditer(good))):
            word = r.choice(words)
            good = good[: word.start()] + r.choice(NASTY) + good[word.end() :]
        elif kind == 3:
            at = r.randrange(len(good) + 1)
            good = good[:at] + r.choice(NASTY) + good[at:]
        elif kind == 4:
            at = r.randrange(len(good) + 1)
            good = good[:at] + good[at + r.choice([1, 3, 10, 100]) :]
        elif kind == 5:
            lines.insert(r.randrange(len(lines)), r.choice(lines))
            good = "\n".join(lines)
        else:
            del lines[r.randrange(len(lines))]
            good = "\n".join(lines)
    data = bytearray(good.encode())
    if data and r.randrange(12) == 0:
        for _ in range(r.randrange(1, 4)):
            data[r.randrange(len(data))] = r.randrange(256)
    return bytes(data)


def table(good, r):
    """Plain values with an entry that is missing or of another kind, as a number beyond all range."""
    others = [None, 3, "x", [], {}, 1e308, -1, float("inf"), float("nan"), [[1]], {"a": 1}, True, 0, 10**400]
    others.append("<script>alert(1)</script>")
    good = copy.deepcopy(good)
    places = list(_places(good))
    if not places or r.randrange(20) == 0:
        return r.choice(others)
    holder, key = r.choice(places)
    if r.randrange(5) < 2:
        del holder[key]
    else:
        holder[key] = r.choice(others)
    return good


def _places(value):
    keys = list(value) if isinstance(value, dict) else range(min(len(value), 3)) if isinstance(value, list) else ()
    for key in keys:
        yield value, key
        yield from _places(value[key])


def arrays(good, r):
    """A file of arrays: bytes that are others or missing, or a well-formed one with another header or other arrays."""
    kind = r.randrange(4)
    if kind == 0:
        data = bytearray(good)
        for _ in range(r.choice([1, 1, 2, 5])):
            data[r.randrange(len(data))] = r.randrange(256)
        return bytes(data)
    if kind == 1:
        return good[: r.randrange(len(good))]
    with np.load(io.BytesIO(good)) as file:
        found = {name: file[name] for name in file.files}
    if kind == 2:
        header = json.loads(str(found["header"]))
        said = [json.dumps(table(header, r)), "[" * 100_000, text(json.dumps(header), r).decode(errors="replace")]
        found["header"] = np.array(said[r.choice([0, 0, 0, 1, 2])])
    else:
        name = r.choice(sorted(set(found) - {"header"}))
        found[name] = _other_array(found[name], r)
        if found[name] is None:
            del found[name]
    out = io.BytesIO()
    np.savez_compressed(out, **found)
    return out.getvalue()


def _other_array(a, r):
    kind = r.randrange(9)
    if kind == 0:
        return None
    if kind <= 2 and a.size:
        a = a.astype(float) if kind == 1 else a.copy()
        at = r.randrange(a.size)
        a.flat[at] = r.choice([np.inf, np.nan, -1, 1e300, 0.5]) if kind == 1 else r.choice([0, 1])
        return a
    return {
        3: a.astype(str),
        4: a[:-1],
        5: np.array(3),
        6: a.astype(complex),
        7: np.zeros(0),
        8: a.reshape(-1, 1),
    }.get(kind, np.concatenate([a, a]))
