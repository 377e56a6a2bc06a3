"""Files of ``torch.save`` read without torch: plain Python, nothing that a file names is called.

Such a file is a zip archive of one pickle and the bytes of each tensor. The pickle may name any function; here each
name stands for a stand-in of this module. Tensors are read when they are asked for, after a look at their size.
"""

from __future__ import annotations

import argparse
import pickle
import struct
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from rhmtheory.support.reading import check_regular

_LARGEST_PICKLE = 1 << 26
_STORAGES = {
    "LongStorage": "<i8", "IntStorage": "<i4", "ShortStorage": "<i2", "CharStorage": "i1", "ByteStorage": "u1",
    "FloatStorage": "<f4", "DoubleStorage": "<f8",
}  # fmt: skip
_SCALARS = {"f8": "d", "f4": "f", "i8": "q", "i4": "i"}


@contextmanager
def saved(path: Path) -> Iterator[Any]:
    """Yield the content of a file of ``torch.save``; its tensors can be read until it is closed.

    Raises whatever a file that is cut, altered or of another kind leads to: `ValueError`, `KeyError`,
    `zipfile.BadZipFile`, `pickle.UnpicklingError` and others.
    """
    check_regular(path)
    with zipfile.ZipFile(path) as archive:
        names = {name.partition("/")[2]: name for name in archive.namelist()}
        if archive.getinfo(names["data.pkl"]).file_size > _LARGEST_PICKLE:
            raise ValueError(f"its pickle would take more than {_LARGEST_PICKLE >> 20} MiB")
        if "byteorder" in names and archive.read(names["byteorder"]) != b"little":
            raise ValueError("its numbers are not little-endian")
        with archive.open(names["data.pkl"]) as file:
            yield _Reader(file, archive, names).load()


class SavedTensor:
    """A tensor of a file, whose numbers have not been read."""

    def __init__(
        self, read: Callable[[], Any], shape: tuple[int, ...], strides: tuple[int, ...], start: int
    ) -> None:
        self._read, self.shape, self._strides, self._start = read, shape, strides, start

    def numpy(self) -> np.ndarray[Any, Any]:
        """Its numbers; raises `ValueError` for a tensor larger than the bytes behind it, as an expanded one is."""
        if len(self.shape) != len(self._strides) or min((*self.shape, *self._strides, self._start), default=0) < 0:
            raise ValueError("a tensor has no valid shape")
        base, size = self._read(), prod(self.shape)
        last = self._start + sum((n - 1) * stride for n, stride in zip(self.shape, self._strides, strict=True))
        if size > len(base) or (size and last >= len(base)):
            raise ValueError(f"a tensor of {size} entries is larger than the bytes behind it")
        strides = [stride * base.itemsize for stride in self._strides]
        return np.lib.stride_tricks.as_strided(base[self._start :], self.shape, strides, writeable=False).copy()

    def __float__(self) -> float:
        return float(self.numpy().item())


class _Opaque:
    """Stands for anything that is not needed; takes what it is given, and does nothing."""

    def __new__(cls, *_: Any, **__: Any) -> _Opaque:
        return object.__new__(cls)

    def __init__(self, *_: Any, **__: Any) -> None:
        pass

    def __setstate__(self, state: Any) -> None:
        pass


class _Dtype(_Opaque):
    """A type of numpy by its name."""

    def __init__(self, name: Any = "", *_: Any) -> None:
        self.name = name


def _scalar(dtype: Any, content: Any) -> Any:
    """A number that numpy wrote."""
    return struct.unpack(f"<{_SCALARS[dtype.name]}", content)[0]


def _encoded(text: str, encoding: str = "latin1") -> bytes:
    """Bytes, which old pickles hold as text."""
    if encoding != "latin1":
        raise ValueError(f"bytes in {encoding!r:.20}")
    return text.encode("latin1")


def _parameter(tensor: Any, *_: Any) -> Any:
    return tensor


class _Reader(pickle._Unpickler):  # in Python: its memo takes no memory by index
    """Reads the pickle; any name but these stands for `_Opaque`."""

    def __init__(self, file: Any, archive: zipfile.ZipFile, names: dict[str, str]) -> None:
        super().__init__(file)
        self._archive, self._names = archive, names

    def find_class(self, module: str, name: str) -> Any:
        """The stand-in of a name."""
        if module == "torch" and name in _STORAGES:
            return _STORAGES[name]
        known = {
            ("argparse", "Namespace"): argparse.Namespace,
            ("collections", "OrderedDict"): OrderedDict,
            ("numpy", "dtype"): _Dtype,
            ("numpy._core.multiarray", "scalar"): _scalar,
            ("numpy.core.multiarray", "scalar"): _scalar,
            ("_codecs", "encode"): _encoded,
            ("torch._utils", "_rebuild_tensor_v2"): _tensor,
            ("torch._utils", "_rebuild_parameter"): _parameter,
        }
        return known.get((module, name), _Opaque)

    def persistent_load(self, pid: Any) -> Any:
        """The bytes of a tensor, to be read when they are asked for."""
        _, dtype, key, *_ = pid

        def read() -> Any:
            info = self._archive.getinfo(self._names[f"data/{key}"])
            if info.compress_type != zipfile.ZIP_STORED or not isinstance(dtype, str):
                raise ValueError("a tensor is compressed, or of a type without numbers that are needed")
            return np.frombuffer(self._archive.read(info), dtype)

        return read


def _tensor(read: Any, start: Any, shape: Any, strides: Any, *_: Any) -> SavedTensor:
    if not all(isinstance(x, int) for x in (start, *shape, *strides)):
        raise ValueError("a tensor has no valid shape")
    return SavedTensor(read, tuple(shape), tuple(strides), start)
