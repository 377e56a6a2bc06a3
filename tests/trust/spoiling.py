"""How valid inputs are spoilt: as bytes, as text, as nested values, and as archives of arrays."""

import hashlib
import io
import json
import re
import warnings
import zipfile
from pathlib import Path

import numpy as np
import torch

CANARY = "code_was_executed"
"""Name of the folder that a payload makes where it is executed."""

DIGEST = hashlib.sha256().digest_size
NUMBERS = (
    0, -1, 1, 2, 3, 7, 63, 64, 65, 1000, 4096, 100_000, 10**6, 10**9, 10**12, 2**31, 2**63 - 1, 2**63, 2**64,
    10**40, 10**400, -(10**4000), -(2**63), 0.5, -0.5, 1e-300, 5e-324, 1e300, 1.7e308, float("nan"), float("inf"),
    float("-inf"),
)  # fmt: skip
OTHERS = (
    None,
    True,
    False,
    "",
    "x",
    "é\u2028\x00",
    "9" * 5000,
    [],
    {},
    [[]],
    [1, "a"],
    {"v": 1},
    "a:b",
    "x" * 140_000,
)


class Payload:
    """An object whose unpickling makes the canary."""

    def __reduce__(self):
        import os

        return os.mkdir, (CANARY,)


def hostile(rng):
    """A value that is hardly ever right."""
    pool = NUMBERS if rng.random() < 0.6 else OTHERS
    return pool[rng.integers(len(pool))]


def of_bytes(content, rng):
    """Cut, flip, insert, remove, repeat, or replace."""
    at, to = sorted(int(x) for x in rng.integers(0, len(content) + 1, 2))
    junk = rng.bytes(int(rng.integers(1, 64)))
    way = rng.integers(8)
    if way == 0:
        return content[:at]
    if way == 1:
        out = bytearray(content)
        for i in rng.integers(0, max(len(out), 1), int(rng.integers(1, 9))):
            if out:
                out[i] ^= 1 << int(rng.integers(8))
        return bytes(out)
    changed = {
        2: content[:at] + junk + content[at:],
        3: content[:at] + content[to:],
        4: content[:to] + content[at:],
        5: b"",
        6: junk,
        7: content + junk,
    }
    return changed[int(way)]


def of_text(content, rng):
    """Exchange a number or word, drop or repeat a line, or spoil the bytes."""
    text = content.decode("utf-8", "replace")
    way = rng.integers(5)
    if way < 2 and (found := list(re.finditer(r"-?\d+(\.\d+)?(e-?\d+)?" if way else r"[\w.]+", text))):
        match = found[rng.integers(len(found))]
        value = hostile(rng)
        shown = json.dumps(value) if rng.random() < 0.5 else str(value)
        return (text[: match.start()] + shown + text[match.end() :]).encode("utf-8", "replace")
    lines = text.splitlines(keepends=True)
    if way == 2 and lines:
        i = int(rng.integers(len(lines)))
        return "".join(lines[:i] + lines[i + 1 :]).encode()
    if way == 3 and lines:
        i, j = (int(x) for x in rng.integers(len(lines), size=2))
        return "".join([*lines[:i], lines[j], *lines[i:]]).encode()
    return of_bytes(content, rng)


def of_value(value, rng):
    """The same nested lists, dicts and tensors with one entry exchanged, dropped or added."""
    places = list(_places(value))
    if not places:
        return hostile(rng)
    container, key = places[rng.integers(len(places))]
    way = rng.integers(6)
    if way == 0 and not isinstance(container, list):
        del container[key]
    elif way == 1 and isinstance(container, dict):
        container["unknown"] = hostile(rng)
    elif way == 2 and isinstance(container[key], (torch.Tensor, np.ndarray)):
        container[key] = _other_array(container[key], rng)
    elif way == 3:
        deep = hostile(rng)
        for _ in range(int(rng.choice([1, 3, 100, 600]))):
            deep = [deep]
        container[key] = deep
    else:
        container[key] = hostile(rng)
    return value


def _places(value):
    keys = value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    for key in keys:
        yield value, key
        yield from _places(value[key])


def _other_array(array, rng):
    """Another type, shape or content."""
    values = np.asarray(array)
    way = rng.integers(8)
    if way == 0:
        return values.astype(rng.choice(["float64", "int64", "bool", "U8", "complex128", "int8", "float16"]))
    if way == 1:
        return values[:-1] if values.ndim else values[None]
    if way == 2:
        return values.ravel() if values.ndim > 1 else values[None]
    if way == 3:
        return np.zeros((0, *values.shape[1:]), values.dtype)
    if way == 4:
        return np.array([hostile(rng)] * 2, dtype=object)
    out = values.astype(np.float64 if values.dtype.kind == "f" else np.int64).copy()
    if out.size:
        number = float(rng.choice([-1, 0, 255, 2**31, 1e300, np.nan, np.inf, 0.3]))
        at = int(rng.integers(out.size))
        out.reshape(-1)[at] = number if out.dtype.kind == "f" or abs(number) < 2**40 else -7
    return out


def of_json(content, rng):
    """A JSON text or JSON lines: a spoilt value, a deep one, or spoilt text."""
    way = rng.random()
    if way < 0.02:
        return b"[" * 200_000
    if way < 0.35:
        return of_text(content, rng)
    lines = content.decode().splitlines()
    single = not all(line.startswith("{") and line.endswith("}") for line in lines)
    i = 0 if single else int(rng.integers(len(lines)))
    value = of_value(json.loads(content if single else lines[i]), rng)
    new = json.dumps(value, indent=1 if single else None)
    return (new if single else "\n".join([*lines[:i], new, *lines[i + 1 :]]) + "\n").encode()


def of_toml(content, rng):
    """Presets: values exchanged, keys dropped, nested lists."""
    way = rng.random()
    if way < 0.02:
        return content + b"\nx = " + b"[" * 50_000
    if way < 0.3:
        text = content.decode("utf-8", "replace")
        match = list(re.finditer(r"= *([^\s{]+)", text))[rng.integers(text.count("=") - text.count("= {"))]
        value = str(rng.choice(["5", "1979-05-27", "07:32:00", "[[1]]", "{}", "true", "1e400", "-0.0", "[]", "''"]))
        return (text[: match.start(1)] + value + text[match.end(1) :]).encode()
    return of_text(content, rng)


def of_npy(content, rng):
    """A header that promises something else, an object array with a payload, or spoilt bytes."""
    way = rng.integers(6)
    if way == 0:
        out = io.BytesIO()
        np.save(out, np.array([Payload(), 1], dtype=object), allow_pickle=True)
        return out.getvalue()
    if way < 4:
        array = np.load(io.BytesIO(content))
        if way == 1:
            array = _other_array(array, rng)
            if array.dtype == object:
                array = array.astype(str)
            out = io.BytesIO()
            np.save(out, array)
            return out.getvalue()
        shape = [
            "(10**9,)",
            "(1000000000000,)",
            "(-1,)",
            "()",
            "(2, 3",
            "(1e3,)",
            "(99999999999999999999,)",
            "(0,)",
        ]
        header = content[10:128].decode("latin-1")
        if way == 2:
            header = re.sub(r"\([^)]*\)", str(rng.choice(shape)), header)
        else:
            dtypes = [
                "'|O'",
                "'<f8'",
                "'<U9'",
                "[('a', '<i8')]",
                "'<M8[s]'",
                "'>i4'",
                "'|S0'",
                "3",
                "'<i8'*9",
                "'|V8'",
            ]
            header = re.sub(r"'descr': '[^']*'", "'descr': " + str(rng.choice(dtypes)), header)
        header = header.rstrip("\n ").ljust(117)[:117] + "\n"
        return content[:10] + header.encode("latin-1") + content[128:]
    return of_bytes(content, rng)


def of_npz(content, rng):
    """An array of the archive exchanged, dropped, or its bytes spoilt below a valid checksum; or spoilt bytes."""
    if rng.random() < 0.25:
        return of_bytes(content, rng)
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    name = str(rng.choice(sorted(parts)))
    way = rng.integers(5)
    if way == 0:
        del parts[name]
    elif way == 1:
        out = io.BytesIO()
        value = (
            np.array(hostile(rng)) if rng.random() < 0.5 else _other_array(np.load(io.BytesIO(parts[name])), rng)
        )
        np.save(out, value, allow_pickle=True)
        parts[name] = out.getvalue()
    elif way == 2:
        parts[name] = parts[str(rng.choice(sorted(parts)))]
    elif way == 3:
        parts[name] = of_npy(parts[name], rng)
    else:
        parts[name] = of_bytes(parts[name], rng)
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for key, value in parts.items():
            archive.writestr(key, value)
    return out.getvalue()


def of_pt(content, rng):
    """A file of torch: an entry exchanged, a payload in its place, or spoilt bytes, below a valid digest."""
    way = rng.random()
    if way < 0.25 or CANARY.encode() in content:
        return of_bytes(content, rng)
    head = 0 if content[:2] == b"PK" else DIGEST
    value = torch.load(io.BytesIO(content[head:]), weights_only=False)
    if way < 0.35:
        value["config" if "config" in value else "network"] = Payload()
    elif "config" in value and way < 0.5:
        _other_table(value["output"], rng)
    elif "config" in value and way < 0.65:
        names = sorted(vars(value["config"]))
        setattr(value["config"], str(rng.choice(names)), hostile(rng))
    else:
        value = of_value(value, rng)
    out = io.BytesIO()
    torch.save(value, out)
    body = out.getvalue() if way < 0.9 else of_bytes(out.getvalue(), rng)
    return (hashlib.sha256(body).digest() if head else b"") + body


class Reduced:
    """An object that is pickled as some call."""

    def __init__(self, *call):
        self.call = call

    def __reduce__(self):
        return self.call


def _other_table(output, rng):
    """A tensor of another kind in place of a rule table, or a number with flags that numpy never writes."""
    table = torch.arange(8).reshape(4, 2)
    dtype = Reduced(np.dtype, ("f8", False, True), (3, "<", None, None, None, -1, -1, int(rng.integers(1, 128))))
    others = (
        lambda: table.to(torch.bfloat16),
        lambda: table.to(torch.float8_e4m3fn),
        lambda: table.to(torch.complex64).conj(),
        lambda: table.to_sparse(),
        lambda: torch.quantize_per_tensor(table.float(), 0.1, 0, torch.qint8),
        lambda: table.to("meta"),
        lambda: torch.zeros(1, dtype=torch.int64).expand(int(rng.choice([9, 1 << 30, 1 << 40]))),
        lambda: torch.nn.Parameter(table.float()),
    )
    way = int(rng.integers(len(others) + 2))
    if way < len(others):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            output["rules"][int(rng.integers(2))] = others[way]()
    else:
        content = b"" if rng.random() < 0.5 else bytes(8)
        output["best"]["loss"] = Reduced(np._core.multiarray.scalar, (dtype, content))


BY_ENDING = {
    ".npz": of_npz,
    ".npy": of_npy,
    ".pt": of_pt,
    ".toml": of_toml,
    ".json": of_json,
    ".jsonl": of_json,
    ".csv": of_text,
    ".txt": of_text,
}


def spoil(path: Path, rng) -> None:
    """Mutate a file in place, once or twice; what can no longer be taken apart is spoilt as bytes."""
    content = path.read_bytes()
    for _ in range(1 + (rng.random() < 0.3)):
        try:
            content = BY_ENDING[path.suffix](content, rng)
        except Exception:  # of the mutation itself: the file is no longer of its kind
            content = of_bytes(content, rng)
    path.write_bytes(content)
