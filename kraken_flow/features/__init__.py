"""Features, one family per file."""

from kraken_flow.features.average import Ema, Rma, Sma
from kraken_flow.features.cross import Cross

__all__ = ["Cross", "Ema", "Rma", "Sma"]
