"""A corpus as a sequence of numbered symbols, read in segments."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from rhmtheory.support.checks import as_choice, as_tokens, check_tokens, smallest_unsigned
from rhmtheory.support.errors import InputError
from rhmtheory.support.reading import npy_pieces, npy_shape, read_whole

UNITS = ("characters", "bytes", "tokens")
"""What a file is read as; "tokens" is a ``.npy`` file of integers."""

_LEAST_TOKENS = 2000
_LEAST_SEGMENT = 64
"""Tokens of a segment: lags up to a quarter of it are measured."""
_LARGEST_ID = 1 << 26
"""Largest number of a symbol."""


def read_tokens(path: str | os.PathLike[str], units: str = "characters") -> tuple[npt.NDArray[Any], list[str]]:
    """Read a text file as one long sequence of symbols, numbered by their order.

    Parameters
    ----------
    path : path
    units : {"characters", "bytes"}
        Characters of UTF-8 text, or bytes of any file.

    Returns
    -------
    tokens : array, shape (N,)
        Of the smallest unsigned dtype.
    symbols : list of str
        What each number stands for.

    Raises
    ------
    InputError
        For unknown units, a file that is empty or changes while it is read, and characters of what is not UTF-8.
    """
    as_choice("units", units, UNITS[:2])
    content = read_whole(path)
    if units == "bytes":
        values = np.frombuffer(content, np.uint8)
    else:
        try:
            text = content.decode("utf-8")
        except UnicodeDecodeError as error:
            raise InputError(f'{path} is not UTF-8 text ({error}): read it with units="bytes"') from None
        values = np.frombuffer(text.encode("utf-32-le"), np.uint32)
    found, tokens = np.unique(values, return_inverse=True)
    names = [f"{x:#04x}" for x in found] if units == "bytes" else [chr(x) for x in found]
    return tokens.astype(smallest_unsigned(len(found))), names


class Source:
    """A corpus as equal segments of mapped tokens, read anew at each pass."""

    def __init__(self, read: Any, tokens: int, mapping: npt.NDArray[Any] | None, vocabulary: int) -> None:
        self._read, self.tokens, self._mapping, self.vocabulary = read, tokens, mapping, vocabulary

    def __iter__(self) -> Iterator[npt.NDArray[Any]]:
        for part in self._read():
            yield part if self._mapping is None else self._mapping[part]


def open_corpus(corpus: Any, units: str, top: int, segments: int) -> Source:
    """Find symbols and their numbers in a first pass, and return the corpus with rare symbols merged."""
    as_choice("units", units, UNITS)
    if isinstance(corpus, (str, os.PathLike)):
        if units == "tokens" or Path(corpus).suffix == ".npy":
            shape = npy_shape(corpus)
            if len(shape) != 1:
                raise InputError(f"{corpus} has shape {shape}: a corpus is one long sequence, shape (N,)")
            size = _segment_size(shape[0], segments)

            def read() -> Iterator[npt.NDArray[Any]]:
                for i, piece in enumerate(npy_pieces(corpus, size)):
                    if i < segments:  # the rest after division is left out
                        yield piece

            return _mapped(read, size * segments, top)
        tokens, _ = read_tokens(corpus, units)
    else:
        tokens = as_tokens(corpus)
        if tokens.ndim != 1:
            raise InputError(f"tokens have shape {tokens.shape}: a corpus is one long sequence, shape (N,)")
    size = _segment_size(len(tokens), segments)
    parts = [tokens[i * size : (i + 1) * size] for i in range(segments)]
    return _mapped(lambda: iter(parts), size * segments, top)


def _segment_size(tokens: int, segments: int) -> int:
    """Tokens of each segment; raises `InputError` where they are too few."""
    if tokens < _LEAST_TOKENS:
        raise InputError(f"{tokens} tokens are too few for two exponents: give at least {_LEAST_TOKENS}")
    if tokens // segments < _LEAST_SEGMENT:
        raise InputError(
            f"segments={segments} leave {tokens // segments} of {tokens} tokens each, and {_LEAST_SEGMENT} are "
            f"needed: give at most {tokens // _LEAST_SEGMENT}"
        )
    return tokens // segments


def _mapped(read: Any, tokens: int, top: int) -> Source:
    frequency = np.zeros(0, np.int64)
    for part in read():
        check_tokens(part, _LARGEST_ID, "number the symbols that occur from zero")
        counts = np.bincount(part.astype(np.int64))
        if len(counts) > len(frequency):
            counts[: len(frequency)] += frequency
            frequency = counts
        else:
            frequency[: len(counts)] += counts
    found = np.flatnonzero(frequency)
    order = found[np.argsort(-frequency[found], kind="stable")]
    vocabulary = min(len(order), top)
    mapping = np.full(len(frequency), max(vocabulary - 1, 0), smallest_unsigned(max(vocabulary, 1)))
    mapping[order[:vocabulary]] = np.arange(vocabulary)
    if len(order) == 1:
        raise InputError("the corpus holds one symbol only, and nothing to predict: give another")
    return Source(read, tokens, mapping, vocabulary)
