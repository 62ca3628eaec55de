"""Headers of GGUF files: metadata, and every tensor's type and bytes, never the weights."""

from __future__ import annotations

import io
import math
import re
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, NoReturn

from planner.errors import SpecError, printable
from planner.model.formats.ggml import GGML_TYPES_BY_NUMBER, GgmlType

SUFFIX = ".gguf"
_MAGIC = b"GGUF"
_VERSIONS = (2, 3)
_MOST_HEADER_BYTES = 64 * 2**20
_MOST_KEYS = 10_000
_MOST_TENSORS = 100_000
_MOST_TEXTS = 1_000_000
_MOST_NAME_BYTES = 65_535
_MOST_TEXT_BYTES = 4096
_MOST_KEPT = 4096
_MOST_DIMENSIONS = 4
_MOST_SHARDS = 1000
_ALIGNMENT = 32
_CHUNK_BYTES = 2**18
_SCALARS = {
    0: "B",
    1: "b",
    2: "H",
    3: "h",
    4: "I",
    5: "i",
    6: "f",
    7: "?",
    10: "Q",
    11: "q",
    12: "d",
}
_TEXT, _ARRAY = 8, 9
_PATH_CHARACTERS = 300
_SHARD = re.compile(r"(.*)-(\d{5})-of-(\d{5})\.gguf")

Value = int | float | bool | str | tuple[int | float | bool, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class GgufTensor:
    """A tensor of a file.

    Parameters
    ----------
    name : str
        Its name there.
    shape : tuple of int
        Row length first. [elements]
    type : GgmlType
        Its type.
    """

    name: str
    shape: tuple[int, ...]
    type: GgmlType

    @property
    def elements(self) -> int:
        """Entries. [1]."""
        return math.prod(self.shape)

    @property
    def stored_bytes(self) -> int:
        """What it takes in the file. [bytes]."""
        return self.elements // self.type.block_elements * self.type.block_bytes


@dataclass(slots=True, kw_only=True)
class Gguf:
    """The header of a file or of all its parts.

    Parameters
    ----------
    metadata : dict
        Figures, texts and short lists by key.
    tensors : dict
        Tensors by name.
    """

    metadata: dict[str, Value] = field(default_factory=dict)
    tensors: dict[str, GgufTensor] = field(default_factory=dict)


class _Cursor:
    """The beginning of a file, read as far as it is asked for."""

    def __init__(self, stream: BinaryIO, size: int, where: str) -> None:
        self._stream = stream
        self.size = size
        self.where = where
        self.data = bytearray()
        self.at = 0
        self.texts = 0

    def need(self, end: int) -> None:
        """Read on until ``end``; raise where the file or the patience ends before."""
        if end > self.size:
            self.fail("cut off", f"byte {end:,} of a file of {self.size:,}")
        if end > _MOST_HEADER_BYTES:
            self.fail("too long a header", f"at most {_MOST_HEADER_BYTES:,} bytes are read")
        while len(self.data) < end:
            chunk = self._stream.read(max(_CHUNK_BYTES, end - len(self.data)))
            if not chunk:
                self.fail("cut off", f"byte {end:,} of a file of {len(self.data):,}")
            self.data += chunk

    def fail(self, what: str, got: object) -> NoReturn:
        raise SpecError(what, where=self.where, got=got)

    def number(self, code: str) -> int | float | bool:
        size = struct.calcsize("<" + code)
        self.need(self.at + size)
        (value,) = struct.unpack_from("<" + code, self.data, self.at)
        self.at += size
        return value  # type: ignore[no-any-return]

    def whole(self, code: str) -> int:
        return int(self.number(code))

    def text(self, most: int, what: str) -> str:
        length = self.whole("Q")
        if length > most:
            self.fail(f"too long a {what}", f"{length:,} bytes")
        self.need(self.at + length)
        raw = bytes(self.data[self.at : self.at + length])
        self.at += length
        try:
            return raw.decode("utf-8")
        except UnicodeDecodeError as error:
            raise SpecError(f"a {what} that is not UTF-8 text", where=self.where) from error

    def skip_texts(self, count: int) -> None:
        self.texts += count
        if self.texts > _MOST_TEXTS:
            self.fail("too many texts", f"at most {_MOST_TEXTS:,} are passed over")
        at, need = self.at, self.need
        unpack = struct.Struct("<Q").unpack_from
        for _ in range(count):
            if len(self.data) < at + 8:
                need(at + 8)
            at += 8 + unpack(self.data, at)[0]
            if at > self.size:
                need(at)
        self.need(at)
        self.at = at


def read_header(stream: BinaryIO, size: int, where: str) -> Gguf:
    """Return the header of one file.

    Parameters
    ----------
    stream : binary file
        The file; only its header is read.
    size : int
        Its length. [bytes]
    where : str
        Its name, for errors.

    Returns
    -------
    Gguf
        Metadata without the tokenizer's lists, and all tensors.

    Raises
    ------
    SpecError
        Not a GGUF file, cut off, or its header contradicts itself.

    Examples
    --------
    >>> read_header(io.BytesIO(b"GGML"), 4, "model.gguf")
    Traceback (most recent call last):
        ...
    planner.errors.SpecError: model.gguf: not a GGUF file; got b'GGML'.
    """
    cursor = _Cursor(stream, size, where)
    cursor.need(min(4, size))
    if bytes(cursor.data[:4]) != _MAGIC:
        cursor.fail("not a GGUF file", bytes(cursor.data[:4]))
    cursor.at = 4
    version = cursor.whole("I")
    if version not in _VERSIONS:
        raise SpecError(
            "a version of GGUF that is not read", where=where, got=version, allowed="2 or 3"
        )
    tensors, keys = cursor.whole("Q"), cursor.whole("Q")
    if tensors > _MOST_TENSORS or keys > _MOST_KEYS:
        cursor.fail("too many tensors or keys", f"{tensors:,} tensors, {keys:,} keys")
    header = Gguf()
    seen: set[str] = set()
    for _ in range(keys):
        name = cursor.text(_MOST_NAME_BYTES, "key")
        if name in seen:
            cursor.fail("a key that stands there twice", name)
        seen.add(name)
        value = _value(cursor, cursor.whole("I"))
        if value is not None:
            header.metadata[name] = value
    spans = []
    for _ in range(tensors):
        tensor, offset = _tensor(cursor)
        if tensor.name in header.tensors:
            cursor.fail("a tensor that stands there twice", tensor.name)
        header.tensors[tensor.name] = tensor
        spans.append((offset, offset + tensor.stored_bytes, tensor.name))
    _check_spans(cursor, spans, header.metadata.get("general.alignment", _ALIGNMENT))
    return header


def _value(cursor: _Cursor, kind: int) -> Value | None:
    """Read a value; None for lists and texts too long to matter."""
    if kind in _SCALARS:
        return cursor.number(_SCALARS[kind])
    if kind == _TEXT:
        length = struct.unpack_from("<Q", _ahead(cursor, 8))[0]
        if length <= _MOST_TEXT_BYTES:
            return cursor.text(_MOST_TEXT_BYTES, "text")
        cursor.need(cursor.at + 8 + length)
        cursor.at += 8 + length
        return None
    if kind != _ARRAY:
        cursor.fail("a kind of value that is not known", kind)
    inner, count = cursor.whole("I"), cursor.whole("Q")
    if inner == _TEXT:
        cursor.skip_texts(count)
        return None
    if inner not in _SCALARS or count > _MOST_HEADER_BYTES:
        cursor.fail(
            "a list that is too long, of lists or of unknown values", f"{count:,} of {inner}"
        )
    code = f"<{count}{_SCALARS[inner]}"
    end = cursor.at + struct.calcsize(code)
    cursor.need(end)
    values = struct.unpack_from(code, cursor.data, cursor.at) if count <= _MOST_KEPT else None
    cursor.at = end
    return values


def _ahead(cursor: _Cursor, size: int) -> bytes:
    cursor.need(cursor.at + size)
    return bytes(cursor.data[cursor.at : cursor.at + size])


def _tensor(cursor: _Cursor) -> tuple[GgufTensor, int]:
    name = cursor.text(_MOST_NAME_BYTES, "name of a tensor")
    place = printable(name)
    dimensions = cursor.whole("I")
    if not 1 <= dimensions <= _MOST_DIMENSIONS:
        cursor.fail(f"{place}: not a number of dimensions", dimensions)
    shape = tuple(cursor.whole("Q") for _ in range(dimensions))
    number = cursor.whole("I")
    offset = cursor.whole("Q")
    kind = GGML_TYPES_BY_NUMBER.get(number)
    if kind is None:
        cursor.fail(f"{place}: an unknown type of tensor", number)
    if not all(shape) or math.prod(shape) >= 2**62 or shape[0] % kind.block_elements:
        cursor.fail(f"{place}: a shape that its type {kind.name} does not admit", list(shape))
    return GgufTensor(name=name, shape=shape, type=kind), offset


def _check_spans(cursor: _Cursor, spans: list[tuple[int, int, str]], alignment: Value) -> None:
    if not isinstance(alignment, int) or isinstance(alignment, bool) or not 0 < alignment <= 2**20:
        cursor.fail("not an alignment", alignment)
    begin = -(-cursor.at // alignment) * alignment
    end = 0
    for start, stop, name in sorted(spans):
        place = printable(name)
        if start % alignment:
            cursor.fail(f"{place}: a tensor off the alignment", start)
        if start < end:
            cursor.fail(f"{place}: tensors that overlap", f"byte {start:,}")
        if begin + stop > cursor.size:
            cursor.fail(f"{place}: a tensor that ends outside the file", f"byte {begin + stop:,}")
        end = stop


def read_gguf(file: Path) -> Gguf:
    """Return the header of a file and of all its parts.

    Parameters
    ----------
    file : pathlib.Path
        A ``.gguf`` file, or one of its parts.

    Returns
    -------
    Gguf
        Metadata of the first part, tensors of all.

    Raises
    ------
    SpecError
        A file cannot be read, is missing or is malformed.
    """
    shard = _SHARD.fullmatch(file.name)
    files = [file]
    if shard is not None and 1 <= int(shard.group(3)) <= _MOST_SHARDS:
        stem, _, last = shard.groups()
        files = [file.with_name(f"{stem}-{i:05d}-of-{last}.gguf") for i in range(1, int(last) + 1)]
    whole = Gguf()
    for path in files:
        where = printable(path, _PATH_CHARACTERS)
        try:
            with path.open("rb") as stream:
                part = read_header(stream, path.stat().st_size, where)
        except OSError as error:
            raise SpecError(
                f"cannot be read ({error.strerror})",
                where=where,
                fix=f"The model has {len(files)} files; put all of them into one folder."
                if len(files) > 1
                else None,
            ) from error
        twice = whole.tensors.keys() & part.tensors.keys()
        if twice:
            raise SpecError("a tensor that stands in two files", where=where, got=min(twice))
        whole.tensors |= part.tensors
        whole.metadata = {**part.metadata, **whole.metadata}
    _check_parts(whole.metadata, len(files), printable(file, _PATH_CHARACTERS))
    return whole


def _check_parts(metadata: Mapping[str, Value], files: int, where: str) -> None:
    parts = metadata.get("split.count", 1)
    if parts not in (0, 1, files):
        raise SpecError(
            "one of several files of a model",
            where=where,
            got=f"{files} of {parts}",
            fix="Keep their names, as in name-00001-of-00003.gguf, and put them into one folder.",
        )


def gguf_from_bytes(data: bytes, where: str) -> Gguf:
    """Return the header of a file that was handed over as bytes.

    Parameters
    ----------
    data : bytes
        The whole file.
    where : str
        Its name, for errors.

    Returns
    -------
    Gguf
        Metadata and tensors.

    Raises
    ------
    SpecError
        Not a GGUF file, or malformed.

    Examples
    --------
    >>> empty = b"GGUF" + (3).to_bytes(4, "little") + bytes(16)
    >>> gguf_from_bytes(empty, "model.gguf").tensors
    {}
    """
    return read_header(io.BytesIO(data), len(data), where)
