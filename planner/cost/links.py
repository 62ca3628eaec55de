"""What the groups of ranks of a layout talk over."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from planner.hardware import Hardware, Link
from planner.model import Layout, Operation


@dataclass(frozen=True, slots=True)
class Links:
    """Links by the number of devices in a row among which a group stands.

    ``otherwise`` is what groups talk over whose span is not among them, ``offload`` what joins the
    device to the weights and caches that live elsewhere.
    """

    spans: tuple[tuple[int, Link | None], ...] = ()
    otherwise: Link | None = None
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
        return cls(tuple((span, hardware.link(span)[0]) for span in sorted(spans)))

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
        return next((link for known, link in self.spans if known == span), self.otherwise)

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
