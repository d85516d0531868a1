"""Features, one family per file; `docs/features.md` lists them."""

from kraken_flow.features.average import Ema, Rma, Sma
from kraken_flow.features.change import Returns, Roc
from kraken_flow.features.channel import Donchian
from kraken_flow.features.covariance import Covariance, Product
from kraken_flow.features.cross import Cross
from kraken_flow.features.deviation import Bollinger, RollingStd, VolumeZ, ZScore
from kraken_flow.features.rank import Rank
from kraken_flow.features.timeframe import Htf
from kraken_flow.features.volatility import LogReturnStd
from kraken_flow.features.wilder import Atr, Rsi

__all__ = [
    "Atr",
    "Bollinger",
    "Covariance",
    "Cross",
    "Donchian",
    "Ema",
    "Htf",
    "LogReturnStd",
    "Product",
    "Rank",
    "Returns",
    "Rma",
    "Roc",
    "RollingStd",
    "Rsi",
    "Sma",
    "VolumeZ",
    "ZScore",
]
