"""What the groups of ranks of a layout talk over."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from planner.cost.collectives import crossing_bytes, message_s
from planner.hardware import Hardware, Link
from planner.model import Layout, Operation


@dataclass(frozen=True, slots=True)
class Links:
    """Links by the number of devices in a row among which a group stands.

    ``otherwise`` is what groups talk over whose span is not among them, ``offload`` what joins the
    device to the weights and caches that live elsewhere. ``node`` is what groups that span several
    nodes stand on.
    """

    spans: tuple[tuple[int, Link | None], ...] = ()
    otherwise: Link | None = None
    node: Hardware | None = None
    offload: Link | None = None

    @classmethod
    def of(cls, hardware: Hardware, layout: Layout) -> Links:
        """Return the links of the groups of a layout.

        Parameters
        ----------
        hardware : Hardware
            The devices.
        layout : Layout
            Parallel sizes.

        Returns
        -------
        Links
            None where nothing is known.

        Examples
        --------
        >>> from planner.hardware import load_hardware
        >>> links = Links.of(load_hardware("h100-sxm", 16), Layout(tp=8, pp=2))
        >>> [(span, link and link.kind) for span, link in links.spans]
        [(8, 'NVLink 4'), (16, None)]
        """
        sizes = (layout.tp, layout.tp * layout.cp, layout.replica_devices, layout.joined_devices)
        spans = set(sizes) - {1}
        node = hardware if hardware.network is not None else None
        return cls(tuple((span, hardware.link(span)[0]) for span in sorted(spans)), node=node)

    def carrying(self, operation: Operation) -> Link | None:
        """Return what an operation's messages go over.

        Parameters
        ----------
        operation : Operation
            A message between ranks, or any other operation.

        Returns
        -------
        Link or None
            None for what sends nothing, and where nothing is known.

        Examples
        --------
        >>> Links().carrying(Operation(name="norm", kind="elementwise", precision="bf16"))
        """
        if operation.kind == "host_copy":
            return self.offload
        if "ranks" not in operation.shape:
            return None
        span = operation.shape.get("span")
        found = next((link for known, link in self.spans if known == span), self.otherwise)
        if found is None or self.node is None or found is not self.node.network:
            return found
        return _fed_together(operation, found, self.node)

    def notes(self, hardware: Hardware) -> Iterator[str]:
        """Yield what the reader should know about the links.

        Parameters
        ----------
        hardware : Hardware
            The devices.

        Yields
        ------
        str
            One sentence or two.
        """
        for span, link in self.spans:
            if link is None:
                yield (
                    f"Nothing is known about what joins {span} {hardware.device.name}; the time "
                    "that ranks spend talking is not counted. A node id brings its network."
                )
            note = hardware.link(span)[1]
            if note:
                yield note


def _fed_together(operation: Operation, network: Link, node: Hardware) -> Link:
    """A network as ranks see it that first combine inside their nodes, each node using all ports.

    Its rate gives the time at the bandwidth bound by the formula of ranks that stand alone.
    """
    ranks, span = int(operation.shape["ranks"]), int(operation.shape["span"])
    direct = node.scale_up
    most = (direct.devices if direct else None) or 1
    each = max(ranks * most // span, 1)
    if direct is None or each == 1 or operation.kind == "send_recv":
        return network
    port, inside = network.per_direction_bytes_per_s, direct.among(each).per_direction_bytes_per_s
    _, least = crossing_bytes(operation.kind, 1.0, ranks=ranks, nodes=ranks / each)
    bound_s = max(
        message_s(operation.kind, 1.0, ranks=each, link_bytes_per_s=inside), least / (each * port)
    )
    alone_s = message_s(operation.kind, 1.0, ranks=ranks, link_bytes_per_s=1.0)
    return Link(kind=network.kind, per_direction_bytes_per_s=alone_s / bound_s)
