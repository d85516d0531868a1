"""What nodes are made of: import from here when you write a feature or a strategy of your own."""

from kraken_flow.core.errors import CheckFailed, UserError
from kraken_flow.core.feature import Column, CrossSection, Derived, Feature, Source, State, Window, WindowFeature
from kraken_flow.core.node import Fraction, Node, NonNegative, Positive, node
from kraken_flow.core.strategy import Forecast, Scripted, Strategy, nan, where

__all__ = [
    "CheckFailed",
    "Column",
    "CrossSection",
    "Derived",
    "Feature",
    "Forecast",
    "Fraction",
    "Node",
    "NonNegative",
    "Positive",
    "Scripted",
    "Source",
    "State",
    "Strategy",
    "UserError",
    "Window",
    "WindowFeature",
    "nan",
    "node",
    "where",
]
