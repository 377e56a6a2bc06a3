"""Learning curves from CSV files as people have them."""

from __future__ import annotations

import csv
import io
import os
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from math import isnan, nan

import numpy as np

from rhmtheory.language.grammar import Grammar
from rhmtheory.language.rhm import RHM
from rhmtheory.support.errors import InputError
from rhmtheory.support.reading import read_whole
from rhmtheory.support.types import FloatArray
from rhmtheory.support.values import ByValue

_NAMES = {
    "p": "P", "loss": "loss", "best_loss": "loss", "grammar": "grammar", "grammar_seed": "grammar", "run": "run",
    "run_seed": "run", "error": "error", "batch": "batch", "batch_size": "batch", "rate": "rate",
    "learning_rate": "rate",
}  # fmt: skip
_ALIKE = ("network", "arguments", "protocol", "v", "m", "s", "L", "n", "rule_probabilities")
"""Columns of our own ``runs.csv`` that must hold one value: rows of two networks make no curve."""
_NAMED = re.compile(r"(?:(?:seed|grammar)[ _]?)?(\d+|.+\.npz)", re.IGNORECASE)


@dataclass(frozen=True, eq=False)
class CurveTable(ByValue):
    """Learning curves read from a CSV file: one row per grammar, run, batch and rate. Made by `read_curves`.

    Attributes
    ----------
    grammars : tuple of str
        The entry of the column ``grammar`` of each row; empty text where there is no such column.
    P : array, shape (sizes,), samples
    loss : array, shape (rows, sizes), nats
    loss_error : array, shape (rows, sizes), nats, optional
    batch, rate : tuple of float
        Sentences per update and learning rate of each row; NaN where the file does not say.
    """

    grammars: tuple[str, ...]
    P: FloatArray
    loss: FloatArray
    loss_error: FloatArray | None = None
    batch: tuple[float, ...] = ()
    rate: tuple[float, ...] = ()

    def parts(self) -> list[tuple[str, CurveTable]]:
        """Return the table of each batch and rate, with the words that tell them apart."""
        keys = list(zip(self.batch, self.rate, strict=True)) or [(nan, nan)] * len(self.grammars)
        different = list(dict.fromkeys(map(str, keys)))
        out = []
        for one in different:
            rows = [i for i, key in enumerate(keys) if str(key) == one]
            batch, rate = keys[rows[0]]
            words = [f"batch {batch:g}"] * (len(set(map(str, self.batch))) > 1)
            words += [f"rate {rate:g}"] * (len(set(map(str, self.rate))) > 1)
            error = None if self.loss_error is None else self.loss_error[rows]
            loss = self.loss[rows]
            sizes = ~np.isnan(loss).all(axis=0)
            part = CurveTable(
                tuple(self.grammars[i] for i in rows), self.P[sizes], loss[:, sizes],
                None if error is None else error[:, sizes], (batch,) * len(rows), (rate,) * len(rows),
            )  # fmt: skip
            out.append((", ".join(words), part))
        return out


def read_curves(path: str | os.PathLike[str]) -> CurveTable:
    """Read learning curves from a CSV file, or from standard input where the path is ``-``.

    Columns ``P`` and ``loss``; ``grammar``, ``run``, ``error``, ``batch`` and ``rate`` where they are there, in any
    order and case. In place of ``loss`` one column per grammar, named by its seed or ``.npz`` file. Fields are
    separated by commas, semicolons or tabs; with the latter two, numbers may have decimal commas. An empty cell, or
    ``nan``, is no value. Our own ``runs.csv`` of fixed training sets is read, too, where it holds one network.

    Parameters
    ----------
    path : path
        UTF-8 text.

    Raises
    ------
    InputError
        For columns that are missing or there twice, rows with more or fewer fields than heads, entries that are not
        numbers, and two losses of one curve at one P.
    """
    lines = _lines(path)
    heads, rows = next(lines, (0, []))[1], list(lines)
    columns, wide = _columns(path, heads)
    _check_alike(path, heads, rows)
    curves: dict[tuple[str, str, float, float], dict[float, tuple[float, float]]] = {}
    for line, row in rows:
        where = f"{path}, line {line}"
        cell = {name: row[i].strip() for name, i in columns.items()}
        P = _number(where, "P", cell["P"])
        for head, i in wide.items() if wide else [(cell.get("grammar", ""), columns["loss"])]:
            loss, error = _number(where, "loss", row[i]), _number(where, "error", cell.get("error", "0"))
            batch, rate = (_number(where, name, cell.get(name, "")) for name in ("batch", "rate"))
            if isnan(P):
                raise InputError(
                    where, rule="has no `P`", way_out="give the number of samples, or leave the line out"
                )
            key = head, cell.get("run", ""), float(np.nan_to_num(batch)), float(np.nan_to_num(rate))
            curve = curves.setdefault(key, {})
            if P in curve:
                rule = f"a second loss at P={P:g}"
                raise InputError(f"{where}:", rule=rule, way_out="tell the curves apart by columns grammar or run")
            curve[P] = loss, error
    return _table(path, curves, "error" in columns)


def grammars_of(
    table: CurveTable, rhm: RHM, named: Grammar | None, draw: Callable[[str], Grammar]
) -> list[Grammar] | RHM:
    """Return the grammar of each row: the one named, or by the column of the file, or the ensemble without either.

    Parameters
    ----------
    table : CurveTable
    rhm : RHM
    named : Grammar, optional
    draw : callable
        Makes a grammar from an entry of the column.

    Raises
    ------
    InputError
        Where one grammar is named and the file has curves of several.
    """
    entries = list(dict.fromkeys(table.grammars))
    if named is not None:
        if len(entries) > 1:
            rule = f"one grammar is named, but the file has curves of {len(entries)}"
            way_out = "leave that option out, and give seeds or .npz files in the column grammar"
            raise InputError("", rule=rule, way_out=way_out)
        return [named] * len(table.grammars)
    if entries == [""]:
        return rhm
    drawn = {entry: draw(entry) for entry in entries}
    return [drawn[entry] for entry in table.grammars]


# --- parts of a file ------------------------------------------------------------------------------------


def _text(path: str | os.PathLike[str]) -> str:
    content = sys.stdin.buffer.read() if str(path) == "-" else read_whole(path)
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(str(path), rule="is not UTF-8 text", way_out=f"save it as such ({error})") from None


def _lines(path: str | os.PathLike[str]) -> Iterator[tuple[int, list[str]]]:
    """Lines that are not empty, the heads first, with their numbers; all have as many fields as heads."""
    text = _text(path)
    first = text.lstrip("\r\n").split("\n", 1)[0]
    separator = next((sign for sign in "\t;" if sign in first), ",")
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, skipinitialspace=separator != "\t")
    heads: list[str] | None = None
    while True:
        try:
            row = next(reader, None)
        except csv.Error as error:
            where = f"{path}, line {reader.line_num}"
            raise InputError(where, rule=f"cannot be read ({error})", way_out="is it a CSV file?") from None
        if row is None:
            return
        if not any(cell.strip() for cell in row):
            continue
        if heads is None:
            heads = [name.strip() for name in row]
            yield reader.line_num, heads
            continue
        while len(row) > len(heads) and not row[-1].strip():
            row.pop()
        if len(row) != len(heads):
            rule = f"has {len(row)} fields under {len(heads)} heads"
            way_out = "give each head one field"
            if len(row) > len(heads) and separator == ",":
                way_out = (
                    "write decimal points, or separate the fields by semicolons where numbers have decimal commas"
                )
            raise InputError(f"{path}, line {reader.line_num}", rule=rule, way_out=way_out)
        yield reader.line_num, [cell.replace(",", ".") if separator != "," else cell for cell in row]


def _columns(path: str | os.PathLike[str], heads: Sequence[str]) -> tuple[dict[str, int], dict[str, int]]:
    """Columns by their names here; and where there is no loss, those that are named by a grammar."""
    columns: dict[str, int] = {}
    for i, head in enumerate(heads):
        name = _NAMES.get(head.lower())
        if name is None:
            continue
        if name in columns:
            rule = f"has two columns for {name}, {heads[columns[name]]!r} and {head!r}"
            raise InputError(str(path), rule=rule, way_out="keep the one of the test loss, and rename the other")
        columns[name] = i
    wide = {}
    if "P" in columns and "loss" not in columns:
        wide = {found[1]: i for i, head in enumerate(heads) if (found := _NAMED.fullmatch(head.strip()))}
    if missing := [name for name in ("P", "loss") if name not in columns and not (wide and name == "loss")]:
        rule = f"lacks the column {' and '.join(missing)}"
        way_out = (
            "its first line must name P and loss (or one column per grammar, named by seed or .npz file), may name "
            f"grammar, run, error, batch and rate; it names {', '.join(heads) or 'nothing'}"
        )
        raise InputError(str(path), rule=rule, way_out=way_out)
    return columns, wide


def _check_alike(path: str | os.PathLike[str], heads: Sequence[str], rows: Sequence[tuple[int, list[str]]]) -> None:
    """Our own tables of runs: one network, one ensemble, fixed training sets."""
    if "network" not in heads or "protocol" not in heads:
        return
    for name in _ALIKE:
        if name in heads and len(found := {row[heads.index(name)] for _, row in rows}) > 1:
            rule = f"holds runs of several {name} ({', '.join(sorted(found)[:4])})"
            raise InputError(
                str(path), rule=rule, way_out="keep the rows of one, or use `rhmtheory report` on its folder"
            )
    if any(row[heads.index("protocol")] == "online" for _, row in rows):
        rule = "holds online runs, whose curves are not in it"
        raise InputError(str(path), rule=rule, way_out="use `rhmtheory report` on its folder")


def _table(
    path: str | os.PathLike[str],
    curves: dict[tuple[str, str, float, float], dict[float, tuple[float, float]]],
    with_errors: bool,
) -> CurveTable:
    if not curves:
        raise InputError(str(path), rule="has no rows below its heads", way_out="add one per point of the curve")
    for curve in curves.values():
        if list(curve) != sorted(curve):
            raise InputError("P", rule=f"in {path} does not increase along a curve", way_out="sort the lines by P")
    sizes = sorted({P for curve in curves.values() for P in curve})
    values = np.array([[curve.get(P, (nan, nan)) for P in sizes] for curve in curves.values()])
    batch, rate = tuple(key[2] or nan for key in curves), tuple(key[3] or nan for key in curves)
    return CurveTable(
        tuple(grammar for grammar, *_ in curves), np.array(sizes), values[..., 0],
        values[..., 1] if with_errors else None, batch, rate,
    )  # fmt: skip


def _number(where: str, name: str, text: str) -> float:
    if not text.strip():
        return nan
    try:
        return float(text)
    except ValueError:
        raise InputError(f"{where}: {name}", text, "is not a number") from None
