"""Headers of safetensors files: every tensor's type and bytes, never the weights."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from planner.errors import SpecError, printable
from planner.importers.measured import FileTensor
from planner.importers.reading import MOST_BYTES, parse_json, read_json

SUFFIX = ".safetensors"
INDEX_SUFFIX = ".safetensors.index.json"
_LENGTH_BYTES = 8
_MOST_SHARDS = 4096
_MOST_VALUES = 600_000
_MOST_DIMENSIONS = 16
_PATH_CHARACTERS = 300
_SHARD = re.compile(r"(.*)-(\d{5})-of-(\d{5})\.safetensors")

# type, bits, format of weights
_TYPES: dict[str, tuple[int, str | None]] = {
    "F64": (64, None), "F32": (32, "fp32"), "F16": (16, "fp16"), "BF16": (16, "bf16"),
    "F8_E4M3": (8, "fp8"), "F8_E5M2": (8, "fp8"), "F8_E8M0": (8, None), "I8": (8, "int8"),
    "U8": (8, None), "I16": (16, None), "U16": (16, None), "I32": (32, None), "U32": (32, None),
    "I64": (64, None), "U64": (64, None), "BOOL": (8, None), "F4": (4, "mxfp4"), "C64": (64, None),
    "F6_E2M3": (6, None), "F6_E3M2": (6, None), "F8_E4M3FNUZ": (8, "fp8"),
    "F8_E5M2FNUZ": (8, "fp8"),
}  # fmt: skip


def read_header(stream: BinaryIO, size: int, where: str) -> list[FileTensor]:
    """Return the tensors of one file.

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
    list of FileTensor
        In the order of the header.

    Raises
    ------
    SpecError
        Not a safetensors file, cut off, or its tensors overlap, leave gaps or end outside it.

    Examples
    --------
    >>> import io
    >>> text = b'{"w":{"dtype":"BF16","shape":[2,3],"data_offsets":[0,12]}}'
    >>> data = len(text).to_bytes(8, "little") + text + bytes(12)
    >>> read_header(io.BytesIO(data), len(data), "w.safetensors")[0].stored_bytes
    12
    """
    length = int.from_bytes(stream.read(_LENGTH_BYTES), "little")
    if size < _LENGTH_BYTES or length > min(size - _LENGTH_BYTES, MOST_BYTES):
        raise SpecError(
            "not a safetensors file, or one that was cut off",
            where=where,
            got=f"a header of {length:,} bytes in a file of {size:,}",
            allowed=f"at most {MOST_BYTES:,} bytes, inside the file",
        )
    header = parse_json(stream.read(length), where, most_values=_MOST_VALUES)
    header.pop("__metadata__", None)
    spans = []
    tensors = []
    for name, entry in header.items():
        tensor, start = _tensor(name, entry, where)
        tensors.append(tensor)
        spans.append((start, start + tensor.stored_bytes))
    _check_spans(spans, size - _LENGTH_BYTES - length, where)
    return tensors


def _tensor(name: str, entry: object, where: str) -> tuple[FileTensor, int]:
    place = f"{where}: {printable(name)}"
    if not isinstance(entry, Mapping):
        raise SpecError("not a description of a tensor", where=place, got=entry)
    kind = entry.get("dtype")
    known = _TYPES.get(kind) if isinstance(kind, str) else None
    if known is None:
        raise SpecError("unknown type", where=place, got=kind, allowed=", ".join(_TYPES))
    shape, offsets = entry.get("shape"), entry.get("data_offsets")
    if not isinstance(shape, list) or len(shape) > _MOST_DIMENSIONS or not _whole(shape):
        raise SpecError("not a shape", where=place, got=shape)
    if not isinstance(offsets, list) or len(offsets) != 2 or not _whole(offsets):
        raise SpecError("not a pair of offsets", where=place, got=offsets)
    elements = 1
    for length in shape:
        elements *= length
    stored = -(-elements * known[0] // 8)
    if offsets[1] - offsets[0] != stored:
        raise SpecError(
            "offsets that do not hold the tensor",
            where=place,
            got=offsets,
            allowed=f"{stored:,} bytes",
        )
    found = FileTensor(name=name, format=known[1], elements=elements, stored_bytes=stored)
    return found, offsets[0]


def _whole(values: list[object]) -> bool:
    return all(isinstance(v, int) and not isinstance(v, bool) and 0 <= v < 2**63 for v in values)


def _check_spans(spans: list[tuple[int, int]], held: int, where: str) -> None:
    end = 0
    for start, stop in sorted(spans):
        if start != end:
            raise SpecError(
                "tensors that overlap" if start < end else "a gap between tensors",
                where=where,
                got=f"one starts at byte {start:,}",
                allowed=f"byte {end:,}",
            )
        end = stop
    if end != held:
        raise SpecError(
            "tensors that end outside the file" if end > held else "bytes that no tensor holds",
            where=where,
            got=f"{end:,} bytes of tensors",
            allowed=f"{held:,} bytes, as the file holds",
            fix="The file may be cut off." if end > held else None,
        )


def read_safetensors(file: Path) -> list[FileTensor]:
    """Return the tensors of a file, with all its shards, or of an index.

    Parameters
    ----------
    file : pathlib.Path
        A ``.safetensors`` file, one of its shards, or its ``.safetensors.index.json``.

    Returns
    -------
    list of FileTensor
        Of an index without any of its files, one entry with the sum that it states.

    Raises
    ------
    SpecError
        A file cannot be read, is missing or is malformed.
    """
    if file.name.endswith(INDEX_SUFFIX):
        return _read_index(file)
    shard = _SHARD.fullmatch(file.name)
    if shard is None:
        return _read_all([file])
    stem, _, last = shard.groups()
    count = int(last)
    if not 1 <= count <= _MOST_SHARDS:
        raise SpecError("not a number of shards", where=printable(file, _PATH_CHARACTERS), got=last)
    return _read_all(
        [file.with_name(f"{stem}-{i:05d}-of-{last}{SUFFIX}") for i in range(1, count + 1)]
    )


def _read_all(files: list[Path]) -> list[FileTensor]:
    missing = [file for file in files if not file.is_file()]
    if missing:
        raise SpecError(
            f"{len(missing)} of {len(files)} files of the model are missing",
            where=printable(missing[0], _PATH_CHARACTERS),
            fix="Put all of them into one folder; only their headers are read.",
        )
    tensors: dict[str, FileTensor] = {}
    for file in files:
        where = printable(file, _PATH_CHARACTERS)
        try:
            with file.open("rb") as stream:
                found = read_header(stream, file.stat().st_size, where)
        except OSError as error:
            raise SpecError(f"cannot be read ({error.strerror})", where=where) from error
        for tensor in found:
            if tensor.name in tensors:
                raise SpecError("a tensor that stands in two files", where=where, got=tensor.name)
            tensors[tensor.name] = tensor
    return list(tensors.values())


def _read_index(file: Path) -> list[FileTensor]:
    where = printable(file, _PATH_CHARACTERS)
    index = read_json(file)
    names = index.get("weight_map")
    if not isinstance(names, Mapping) or not names:
        raise SpecError("an index without weight_map", where=where)
    shards = {str(name) for name in names.values()}
    for name in shards:
        if PurePosixPath(name).name != name or "\\" in name or not name.endswith(SUFFIX):
            raise SpecError("not the name of a file beside the index", where=where, got=name)
    files = [file.with_name(name) for name in sorted(shards)]
    if len(files) > _MOST_SHARDS:
        raise SpecError("too many files", where=where, allowed=f"at most {_MOST_SHARDS:,}")
    if any(path.is_file() for path in files):
        tensors = _read_all(files)
        missing = set(names) - {tensor.name for tensor in tensors}
        if missing:
            raise SpecError("a tensor that no file holds", where=where, got=min(missing))
        return tensors
    metadata = index.get("metadata")
    total = metadata.get("total_size") if isinstance(metadata, Mapping) else None
    if isinstance(total, float) and total.is_integer():
        total = int(total)
    if not isinstance(total, int) or not 0 < total < 2**50:
        raise SpecError(
            "an index without the files and without their size",
            where=f"{where}: metadata.total_size",
            got=total,
        )
    return [FileTensor(name="", format=None, elements=0, stored_bytes=total)]
