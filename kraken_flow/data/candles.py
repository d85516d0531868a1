"""What the sources of candles share."""

from typing import ClassVar

from kraken_flow.core.node import Node
from kraken_flow.core.times import parse_duration


class CandleSource(Node):
    """Base of the nodes of group `data`: it reads the feed delay, which every one of them declares as a field."""

    kind: ClassVar[str] = "data"
    feed_delay: str | int

    def __post_init__(self) -> None:
        parse_duration(self.feed_delay, "data.feed_delay")

    @property
    def feed_delay_ns(self) -> int:
        """Return the feed delay in nanoseconds."""
        return parse_duration(self.feed_delay, "data.feed_delay")
