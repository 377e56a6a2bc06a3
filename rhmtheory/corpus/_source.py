"""A corpus as equal segments of numbered symbols, read anew at each pass."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from rhmtheory.corpus.text import UNITS, read_tokens
from rhmtheory.support.checks import as_choice, as_tokens, check_tokens, smallest_unsigned
from rhmtheory.support.errors import InputError
from rhmtheory.support.reading import npy_pieces, npy_shape

_LEAST_TOKENS = 2000
_LEAST_SEGMENT = 64
"""Tokens of a segment: lags up to a quarter of it are measured."""
_LARGEST_ID = 1 << 26
"""Largest number of a symbol."""


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
                raise InputError(
                    os.fspath(corpus),
                    rule=f"has shape {shape}",
                    way_out="a corpus is one long sequence, shape (N,)",
                )
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
            raise InputError(
                "tokens", rule=f"have shape {tokens.shape}", way_out="a corpus is one long sequence, shape (N,)"
            )
    size = _segment_size(len(tokens), segments)
    parts = [tokens[i * size : (i + 1) * size] for i in range(segments)]
    return _mapped(lambda: iter(parts), size * segments, top)


def _segment_size(tokens: int, segments: int) -> int:
    """Tokens of each segment; raises `InputError` where they are too few."""
    if tokens < _LEAST_TOKENS:
        raise InputError(
            f"{tokens} tokens", rule="are too few for two exponents", way_out=f"give at least {_LEAST_TOKENS}"
        )
    if tokens // segments < _LEAST_SEGMENT:
        raise InputError(
            "segments",
            segments,
            f"leave {tokens // segments} of {tokens} tokens each, and {_LEAST_SEGMENT} are needed",
            f"give at most {tokens // _LEAST_SEGMENT}",
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
        raise InputError("the corpus", rule="holds one symbol only, and nothing to predict", way_out="give another")
    return Source(read, tokens, mapping, vocabulary)
