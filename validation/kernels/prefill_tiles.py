"""How a launch of flash prefill is cut up, by device class and width of a head."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from validation.kernels.launch import DeviceClass, device_class


@dataclass(frozen=True, slots=True)
class PrefillTile:
    """How one launch is cut up.

    Parameters
    ----------
    block_m, block_n : int
        Queries and keys of one tile. [tokens]
    warps, stages : int
        Warps of one program, and tiles in flight. [1]
    descriptor : bool
        Whether keys and values are loaded by tensor-map descriptor (Hopper and newer).
    """

    block_m: int
    block_n: int
    warps: int
    stages: int
    descriptor: bool = False


# By device class and head_dim, for elements of two bytes; the first is the default, the others are
# what a tuner may try. Queries, keys and values of a tile stay within the class's shared memory.
_TILES: dict[DeviceClass, dict[int, tuple[PrefillTile, ...]]] = {
    "hopper": {
        64: (
            PrefillTile(128, 128, 8, 3, True),
            PrefillTile(128, 64, 4, 3, True),
            PrefillTile(128, 128, 8, 3),
            PrefillTile(128, 64, 4, 3),
        ),
        128: (
            PrefillTile(128, 128, 8, 2, True),
            PrefillTile(128, 64, 8, 3, True),
            PrefillTile(128, 64, 8, 3),
            PrefillTile(128, 128, 8, 2),
            PrefillTile(64, 64, 4, 3),
        ),
        256: (
            PrefillTile(128, 64, 8, 2, True),
            PrefillTile(128, 64, 8, 2),
            PrefillTile(128, 32, 8, 2),
        ),
    },
    "ampere": {
        64: (PrefillTile(128, 64, 4, 3), PrefillTile(128, 128, 8, 3), PrefillTile(64, 64, 4, 3)),
        128: (PrefillTile(128, 64, 8, 3), PrefillTile(128, 32, 8, 3), PrefillTile(64, 64, 4, 3)),
        256: (PrefillTile(64, 32, 8, 2), PrefillTile(64, 64, 8, 2)),
    },
    "small": {
        64: (PrefillTile(128, 64, 4, 2), PrefillTile(64, 64, 4, 2)),
        128: (PrefillTile(64, 64, 4, 2), PrefillTile(128, 32, 8, 2)),
        256: (PrefillTile(32, 32, 4, 2),),
    },
    "interpreter": {
        64: (PrefillTile(64, 64, 4, 1), PrefillTile(64, 64, 4, 1, True)),
        128: (PrefillTile(64, 64, 4, 1), PrefillTile(64, 64, 4, 1, True)),
        256: (PrefillTile(64, 64, 4, 1), PrefillTile(64, 64, 4, 1, True)),
    },
}
_TILES["blackwell"] = {
    width: tuple(tile for tile in tiles if tile.descriptor)
    for width, tiles in _TILES["hopper"].items()
}
# fp32 takes twice the shared memory and the plain units: accuracy, not speed.
_WIDE_TILES: dict[int, tuple[PrefillTile, ...]] = {
    64: (PrefillTile(64, 32, 4, 2),),
    128: (PrefillTile(32, 32, 4, 2),),
    256: (PrefillTile(32, 16, 4, 1),),
}


def tiles_for(head_dim: int, dtype: torch.dtype, device: torch.device) -> tuple[PrefillTile, ...]:
    """Return how a launch may be cut up on a device, the default first.

    Parameters
    ----------
    head_dim : int
        Width of one head. [elements]
    dtype : torch.dtype
        Of queries, keys and values.
    device : torch.device
        Where it runs.

    Returns
    -------
    tuple of PrefillTile
        At least one.
    """
    width = max(64, head_dim)
    kind = device_class(device)
    if dtype.itemsize > 2 and kind != "interpreter":
        return _WIDE_TILES[width]
    return _TILES[kind][width]
