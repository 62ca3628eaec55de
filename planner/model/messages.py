"""What ranks send to one another: to other experts' ranks, and from stage to stage."""

from __future__ import annotations

from collections.abc import Iterator

from planner.arrays import Numeric
from planner.model.execution import Execution
from planner.model.operation import Operation
from planner.model.storage import Format


def all_to_all(
    name: str, rows: Numeric, width: int, operand: Format, execution: Execution
) -> Operation:
    """Return the sending of rows to the ranks that hold their experts, or back.

    Parameters
    ----------
    name : str
        Name of the operation.
    rows : numeric
        Rows that one rank sends, a row for each rank it goes to. [tokens]
    width : int
        Elements per row. [elements]
    operand : Format
        Format of the elements.
    execution : Execution
        Gives the ranks that share the experts.

    Returns
    -------
    Operation
        A collective over ``layout.expert_ranks`` ranks.

    References
    ----------
    deepseek-v3-2024

    Examples
    --------
    >>> from planner.model.execution import half
    >>> from planner.model.layout import Layout
    >>> from planner.model.storage import BF16
    >>> ranks = half(Layout(dp=8, ep=8, attention_dp=8))
    >>> all_to_all("combine", 8, 7168, BF16, ranks).message_bytes
    114688
    """
    layout = execution.layout
    message = rows * width * operand.bits // 8
    return Operation(
        name=name,
        kind="all_to_all",
        precision=execution.stream.precision,
        message_bytes=message,
        shape={
            "ranks": layout.expert_ranks, "message_bytes": message, "nodes": 1,
            "span": layout.joined_devices,
        },
    )  # fmt: skip


def send_recv(name: str, tokens: Numeric, width: int, execution: Execution) -> Operation:
    """Return the handing on of the residual stream to the next pipeline stage.

    Parameters
    ----------
    name : str
        Name of the operation.
    tokens : numeric
        Rows. [tokens]
    width : int
        Elements per row. [elements]
    execution : Execution
        Formats and layout.

    Returns
    -------
    Operation
        From one rank to one rank.

    Examples
    --------
    >>> from planner.model.execution import half
    >>> send_recv("next stage", 32, 8192, half()).message_bytes
    524288
    """
    message = tokens * width * execution.stream_bytes
    return Operation(
        name=name,
        kind="send_recv",
        precision=execution.stream.precision,
        message_bytes=message,
        shape={
            "ranks": 2, "message_bytes": message, "nodes": 1,
            "span": execution.layout.replica_devices,
        },
    )  # fmt: skip


def between_stages(
    tokens: Numeric, width: int, execution: Execution
) -> Iterator[tuple[str, Operation, int]]:
    """Yield what a step sends through a pipeline, with the number of times it does.

    Parameters
    ----------
    tokens : numeric
        Rows. [tokens]
    width : int
        Elements per row. [elements]
    execution : Execution
        Formats and layout.

    Yields
    ------
    tuple
        Layer name, operation, occurrences; nothing where there is one stage.

    Examples
    --------
    >>> from planner.model.execution import half
    >>> from planner.model.layout import Layout
    >>> [count for _, _, count in between_stages(32, 8192, half(Layout(pp=4)))]
    [3]
    """
    if execution.layout.pp > 1:
        handed = send_recv("next stage", tokens, width, execution)
        yield "pipeline", handed, execution.layout.pp - 1
