"""How one model is spread over devices, and how a tensor's axis splits under it."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Literal

from planner.errors import LayoutError

Beyond = Literal["error", "replicate", "pad", "copy"]
Group = Literal["tp", "ep", "moe_tp"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """Parallel sizes of a deployment: ``tp · cp · pp · dp`` devices.

    A rank stands in one group of each kind. Attention and dense blocks are cut over ``tp``; layers
    are dealt to ``pp`` stages; the tokens of a sequence to ``cp`` ranks that each hold the weights.
    Experts are cut over all ranks of ``attention_dp`` neighbours: ``tp · cp · attention_dp`` of
    them, ``ep`` ways by expert and the rest of the way within each expert.

    Parameters
    ----------
    tp : int
        Ranks that share the heads of attention. [1]
    pp : int
        Pipeline stages. [1]
    dp : int
        Data-parallel ranks: each serves sequences of its own. [1]
    ep : int
        Ranks that share the experts, each holding whole ones. [1]
    cp : int
        Ranks that share the tokens of a sequence, each with devices of its own. [1]
    dcp : int
        Parts that the tensor-parallel ranks cut the tokens of their caches into. [1]
    attention_dp : int
        Data-parallel ranks that share one copy of the experts; 1 where each has its own. [1]
    """

    tp: int = 1
    pp: int = 1
    dp: int = 1
    ep: int = 1
    cp: int = 1
    dcp: int = 1
    attention_dp: int = 1

    @property
    def devices(self) -> int:
        """Devices in use. [1]."""
        return self.tp * self.cp * self.pp * self.dp

    @property
    def replica_devices(self) -> int:
        """Devices that serve one set of sequences. [1]."""
        return self.tp * self.cp * self.pp

    @property
    def joined_devices(self) -> int:
        """Devices that depend on one another: a replica, or those that share experts. [1]."""
        return self.replica_devices * self.attention_dp

    @property
    def expert_ranks(self) -> int:
        """Ranks that share one copy of the experts of a layer. [1]."""
        return self.tp * self.cp * self.attention_dp

    @property
    def moe_tp(self) -> int:
        """Ranks that share each expert. [1]."""
        return self.expert_ranks // self.ep

    def ranks(self, group: Group) -> int:
        """Return the ranks of a group that cuts tensors.

        Parameters
        ----------
        group : {"tp", "ep", "moe_tp"}
            Which group.

        Returns
        -------
        int
            Its size. [1]

        Examples
        --------
        >>> Layout(tp=8, ep=4).ranks("moe_tp")
        2
        """
        return {"tp": self.tp, "ep": self.ep, "moe_tp": self.moe_tp}[group]

    @property
    def token_ranks(self) -> int:
        """Ranks that share the tokens of a cache. [1]."""
        return self.cp * self.dcp

    def __str__(self) -> str:
        """Return the sizes that are not one, such as ``tp 4, pp 2``."""
        sizes = (
            (field.name.replace("_", " "), getattr(self, field.name)) for field in fields(self)
        )
        return ", ".join(f"{name} {size}" for name, size in sizes if size > 1) or "one device"


SINGLE = Layout()


@dataclass(frozen=True, slots=True)
class Section:
    """A run of an axis made of ``units`` equal indivisible pieces of ``width`` elements.

    ``beyond`` says what happens where ranks do not divide the units: an error; replication, as
    engines do with KV heads once ranks outnumber them; padding, as they do with vocabularies; or a
    copy of all pieces on every rank, as they do with vision towers.
    """

    units: int
    width: int
    what: str
    beyond: Beyond = "error"

    def divides(self, tp: int) -> bool:
        """Return whether so many ranks can share the pieces.

        Parameters
        ----------
        tp : int
            Tensor-parallel ranks. [1]

        Returns
        -------
        bool
            True where the ranks divide the pieces, or padding or replication helps out.

        Examples
        --------
        >>> Section(8, 128, "KV heads", "replicate").divides(12)
        False
        """
        return (
            self.units % tp == 0
            or self.beyond in ("pad", "copy")
            or (self.beyond == "replicate" and tp % self.units == 0)
        )

    def units_on_rank(self, tp: int) -> int:
        """Return the pieces the fullest rank holds.

        Parameters
        ----------
        tp : int
            Tensor-parallel ranks. [1]

        Returns
        -------
        int
            Pieces on the fullest rank. [1]

        Raises
        ------
        LayoutError
            The ranks do not divide the pieces.

        Examples
        --------
        >>> Section(8, 128, "KV heads", "replicate").units_on_rank(16)
        1
        """
        if not self.divides(tp):
            raise LayoutError(
                f"{tp} tensor-parallel ranks do not divide {self.units} {self.what}",
                where="tp",
                got=tp,
                allowed="divisors of the head counts and of the feed-forward width",
            )
        if self.beyond == "copy" and self.units % tp:
            return self.units
        return -(-self.units // tp)


@dataclass(frozen=True, slots=True)
class Split:
    """The axis of a tensor that tensor parallelism cuts, section by section."""

    axis: int
    sections: tuple[Section, ...]

    def on_rank(self, tp: int) -> int:
        """Return the length of the axis on the fullest rank.

        Parameters
        ----------
        tp : int
            Tensor-parallel ranks. [1]

        Returns
        -------
        int
            Elements along the axis. [1]

        Raises
        ------
        LayoutError
            The ranks do not divide a section.

        Examples
        --------
        >>> Split(0, (Section(32, 128, "query heads"),)).on_rank(4)
        1024
        """
        return sum(section.units_on_rank(tp) * section.width for section in self.sections)
