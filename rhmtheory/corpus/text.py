"""Text files as sequences of numbered symbols."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import numpy.typing as npt

from rhmtheory.support.checks import as_choice, smallest_unsigned
from rhmtheory.support.errors import InputError
from rhmtheory.support.reading import read_whole

UNITS = ("characters", "bytes", "tokens")
"""What a file is read as; "tokens" is a ``.npy`` file of integers."""


def read_tokens(path: str | os.PathLike[str], units: str = "characters") -> tuple[npt.NDArray[Any], list[str]]:
    """Read a text file as one long sequence of symbols, numbered by their order.

    Parameters
    ----------
    path : path
    units : {"characters", "bytes"}
        Characters of UTF-8 text, without a byte-order mark and with each line end as one; or all bytes of any file.

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
            text = content.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise InputError(
                os.fspath(path), rule=f"is not UTF-8 text ({error})", way_out='read it with `units="bytes"`'
            ) from None
        text = text.replace("\r\n", "\n")
        values = np.frombuffer(text.encode("utf-32-le"), np.uint32)
    found, tokens = np.unique(values, return_inverse=True)
    names = [f"{x:#04x}" for x in found] if units == "bytes" else [chr(x) for x in found]
    return tokens.astype(smallest_unsigned(len(found))), names
