"""The mixes of llama.cpp: which tensor of which layer gets which type.

Rows, attention and feed-forward matrices are told apart by their names; where in the stack a
matrix stands decides too. What is never quantised is kept in fp32: vectors, routers,
convolutions, states, learned positions.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from planner.model.formats.ggml import fitting_type
from planner.model.tensor import Tensor

_NEVER = frozenset({"norm", "bias", "router", "convolution", "state", "position", "buffer"})
_QKV = ("q_proj", "k_proj", "v_proj")
_MANY_GROUPED = 4
_EIGHT_EXPERTS = 8
_LARGE_LAYERS = 80
_FIRST_VALUES = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Stack:
    """What a mix needs to know of a whole model.

    Parameters
    ----------
    layers : int
        Depth. [1]
    grouped : int
        Query heads that share a KV head. [1]
    experts : int
        Routed experts of a layer; 1 without. [1]
    tied : bool
        Whether the token table serves as the head.
    fused_qkv : bool
        Whether queries, keys and values of a layer are one matrix.
    """

    layers: int
    grouped: int = 1
    experts: int = 1
    tied: bool = False
    fused_qkv: bool = False

    @property
    def is_large(self) -> bool:
        """Whether llama.cpp treats it as of the 70B class."""
        return self.layers == _LARGE_LAYERS and self.grouped > 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A matrix's place: the ``index``-th of ``count`` of its kind in a stack. [1]."""

    index: int
    count: int
    stack: Stack
    imatrix: bool

    @property
    def more_bits(self) -> bool:
        """Whether the mixes spend more here: the first and last eighth, each third between."""
        eighth = self.count // 8
        middle = (self.index - eighth) % 3 == 2
        return self.index < eighth or self.index >= 7 * self.count // 8 or middle

    def first(self, part: int) -> bool:
        """Return whether it stands in the first ``1/part`` of the stack.

        Parameters
        ----------
        part : int
            Eighth or sixteenth. [1]

        Returns
        -------
        bool
            True for the first matrices.

        Examples
        --------
        >>> Place(index=3, count=32, stack=Stack(layers=32), imatrix=False).first(8)
        True
        """
        return self.index < self.count // part


Choice = Callable[[Place], str | None]


def _none(place: Place) -> None:
    """Keep the base."""
    del place


def _always(name: str) -> Choice:
    return lambda _: name


def _many(name: str, other: str | None = None) -> Choice:
    return lambda place: name if place.stack.grouped >= _MANY_GROUPED else other


def _many_or_experts(name: str, other: str) -> Choice:
    def choose(place: Place) -> str:
        stack = place.stack
        return name if max(stack.grouped, stack.experts) >= _MANY_GROUPED else other

    return choose


def _more(name: str) -> Choice:
    return lambda place: name if place.more_bits else None


def _first(part: int, name: str, other: str | None = None) -> Choice:
    return lambda place: name if place.first(part) else other


def _before(count: int, name: str, other: str | None = None) -> Choice:
    return lambda place: name if place.index < count else other


def _blind(choice: Choice) -> Choice:
    """Hold only without an importance matrix."""
    return lambda place: None if place.imatrix else choice(place)


def _seeing(choice: Choice) -> Choice:
    """Hold only with an importance matrix."""
    return lambda place: choice(place) if place.imatrix else None


def _middle(name: str) -> Choice:
    return lambda p: name if not p.first(8) and p.index < 7 * p.count // 8 else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Mix:
    """A mix: its base type and what each kind of matrix gets instead.

    ``small`` marks the mixes of about two bits, whose attention outputs and keys have rules of
    their own with eight experts; ``fused`` is the type of queries, keys and values that are one
    matrix.
    """

    base: str
    head: str = "q6_k"
    table: str | None = None
    value: Choice = _none
    key: Choice = _none
    query: Choice = _none
    output: Choice = _none
    down: Choice = _none
    wide: Choice = _none
    expert: str | None = None
    imatrix: bool = False
    small: bool = False
    fused: str | None = None
    output_of_eight: str | None = "q5_k"
    rules: dict[str, Choice] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        """Gather the choices by the ends of tensor names."""
        self.rules.update(
            {
                "v_proj": self.value, "k_proj": self.key, "q_proj": self.query,
                "o_proj": self.output, "down_proj": self.down, "gate_proj": self.wide,
                "up_proj": self.wide, "gate_up_proj": self.wide,
            }
        )  # fmt: skip


def _two_bits(base: str, table: str, value: str, first: str, output: str | None) -> Mix:
    return Mix(
        base=base,
        head="q5_k",
        table=table,
        value=_many_or_experts("q4_k", value),
        down=_first(8, first),
        output=_always(output) if output else _none,
        imatrix=True,
        small=True,
    )


MIXES: dict[str, Mix] = {
    "iq1_s": _two_bits("iq1_s", "q2_k", "q2_k", "q2_k", "iq2_xxs"),
    "iq1_m": _two_bits("iq1_m", "q2_k", "q2_k", "q2_k", "iq2_xxs"),
    "iq2_xxs": _two_bits("iq2_xxs", "q2_k", "q2_k", "q2_k", None),
    "iq2_xs": _two_bits("iq2_xs", "q2_k", "q2_k", "q2_k", None),
    "iq2_s": _two_bits("iq2_xs", "iq3_s", "iq3_s", "iq3_s", "iq3_s"),
    "iq2_m": _two_bits("iq2_s", "iq3_s", "iq3_s", "iq3_s", "iq3_s"),
    "iq3_xxs": Mix(
        base="iq3_xxs",
        head="q5_k",
        table="iq3_s",
        value=lambda p: _many("q4_k", "iq3_xxs" if p.imatrix else "iq3_s")(p),
        key=_always("iq2_s"),
        query=_always("iq2_s"),
        output=_always("iq3_s"),
        down=_blind(_first(8, "q4_k", "q3_k")),
        imatrix=True,
    ),
    "iq3_xs": Mix(
        base="iq3_s",
        value=_many("q4_k"),
        key=_always("iq3_xxs"),
        query=_always("iq3_xxs"),
        wide=_middle("iq3_xxs"),
        imatrix=True,
    ),
    "iq3_s": Mix(base="iq3_s", value=_many("q4_k"), imatrix=True),
    "iq3_m": Mix(
        base="iq3_s", fused="q4_k",
        value=_always("q4_k"),
        output=_always("q4_k"),
        down=lambda p: (
            "q4_k"
            if p.first(8) or (p.stack.experts == _EIGHT_EXPERTS and p.more_bits)
            else None
        ),
        imatrix=True,
    ),
    "iq4_xs": Mix(base="iq4_xs", value=_many("q5_k"), down=_blind(_first(8, "q5_k"))),
    "iq4_nl": Mix(base="iq4_nl", value=_many("q5_k"), down=_blind(_first(8, "q5_k"))),
    "q2_k_s": Mix(
        base="q2_k", value=_many("q4_k"), down=_first(8, "q4_k"), imatrix=True,
        output_of_eight=None,
    ),
    "q2_k": Mix(
        base="q2_k", value=_many("q4_k", "q3_k"), output=_always("q3_k"), down=_always("q3_k")
    ),
    "q3_k_s": Mix(base="q3_k"),
    "q3_k_m": Mix(
        base="q3_k", fused="q4_k",
        value=_before(2, "q5_k", "q4_k"),
        output=_always("q4_k"),
        down=_first(16, "q5_k", "q4_k"),
    ),
    "q3_k_l": Mix(
        base="q3_k", fused="q4_k", value=_always("q5_k"), output=_always("q5_k"),
        down=_always("q5_k"), output_of_eight=None,
    ),
    "q4_0": Mix(base="q4_0", down=_seeing(_first(8, "q4_1")), output_of_eight=None),
    "q4_1": Mix(base="q4_1", output_of_eight=None),
    "q4_k_s": Mix(base="q4_k", value=_before(_FIRST_VALUES, "q5_k"), down=_first(8, "q5_k")),
    "q4_k_m": Mix(base="q4_k", fused="q5_k", value=_more("q6_k"), down=_more("q6_k")),
    "q5_0": Mix(base="q5_0", down=_seeing(_first(8, "q5_1")), output_of_eight=None),
    "q5_1": Mix(base="q5_1", output_of_eight=None),
    "q5_k_s": Mix(base="q5_k", output_of_eight=None),
    "q5_k_m": Mix(
        base="q5_k", fused="q6_k", value=_more("q6_k"), down=_more("q6_k"), output_of_eight=None,
    ),
    "q6_k": Mix(base="q6_k", output_of_eight=None),
    "q8_0": Mix(base="q8_0", head="q8_0", output_of_eight=None),
    "tq1_0": Mix(base="tq1_0", table="q4_k", output_of_eight=None),
    "tq2_0": Mix(base="tq2_0", table="q4_k", output_of_eight=None),
    "mxfp4_moe": Mix(base="q8_0", head="q8_0", expert="mxfp4", output_of_eight=None),
    "gguf_f16": Mix(base="f16", head="f16", output_of_eight=None),
    "gguf_bf16": Mix(base="bf16", head="bf16", output_of_eight=None),
}  # fmt: skip
"""Every mix by the name that files carry; ``imatrix`` marks those that usually have one."""

WITH_IMATRIX = "_imatrix"
WITHOUT_IMATRIX = "_no_imatrix"


def find_mix(name: str) -> tuple[Mix, bool] | None:
    """Return a mix and whether it is made with an importance matrix.

    Parameters
    ----------
    name : str
        A name of :data:`MIXES`, with ``_imatrix`` or ``_no_imatrix`` behind it where it is made
        otherwise than usual.

    Returns
    -------
    tuple or None
        None where there is no such mix.

    Examples
    --------
    >>> find_mix("q4_k_m")[1], find_mix("iq4_xs_imatrix")[1], find_mix("q9")
    (False, True, None)
    """
    stem = name.removesuffix(WITHOUT_IMATRIX).removesuffix(WITH_IMATRIX)
    mix = MIXES.get(stem)
    if mix is None:
        return None
    given = {stem: mix.imatrix, stem + WITH_IMATRIX: True, stem + WITHOUT_IMATRIX: False}
    return (mix, given[name]) if name in given else None


def mixed_type(mix: Mix, tensor: Tensor, place: Place) -> str:
    """Return the type that a mix gives a tensor.

    Parameters
    ----------
    mix : Mix
        The mix.
    tensor : Tensor
        The whole tensor.
    place : Place
        Where it stands.

    Returns
    -------
    str
        Name of a type of tensor, its row length considered.

    Examples
    --------
    >>> down = Tensor("mlp.down_proj.weight", (4096, 14336), "linear")
    >>> place = Place(index=0, count=32, stack=Stack(layers=32), imatrix=False)
    >>> mixed_type(MIXES["q4_k_m"], down, place)
    'q6_k'
    """
    if tensor.role in _NEVER or len(tensor.shape) < 2:
        return "f32"
    columns = tensor.shape[-1]
    if tensor.role == "head" or (tensor.role == "embedding" and place.stack.tied):
        return _head_type(mix, columns)
    if tensor.role == "embedding":
        return fitting_type(mix.table or mix.base, columns)
    if mix.expert:
        return fitting_type(mix.expert if tensor.role == "expert" else mix.base, columns)
    kind = tensor.name.removesuffix(".weight").rpartition(".")[2]
    if place.stack.fused_qkv and kind in _QKV:
        return fitting_type(mix.fused or mix.base, columns)
    chosen = mix.rules.get(kind, _none)(place) or mix.base
    return fitting_type(_corrected(mix, kind, chosen, place), columns)


def _head_type(mix: Mix, columns: int) -> str:
    if mix.base in ("f16", "bf16"):
        return mix.base
    fits = fitting_type(mix.base, columns) == mix.base
    return fitting_type(mix.head if fits else "q8_0", columns)


def _corrected(mix: Mix, kind: str, chosen: str, place: Place) -> str:
    """Apply what llama.cpp does for models of eight experts and of the 70B class."""
    eight = place.stack.experts == _EIGHT_EXPERTS
    scalar = mix.base in ("f16", "bf16")
    if eight and kind == "o_proj":
        return "q5_k" if mix.small else mix.output_of_eight or mix.base
    if scalar or (mix.small and not (eight and kind == "k_proj")):
        return chosen
    if eight and kind in ("v_proj", "k_proj"):
        return "q4_k" if mix.small else "q8_0"
    if place.stack.is_large and kind == "v_proj" and chosen in ("q3_k", "q4_k"):
        return "q5_k"
    return chosen
