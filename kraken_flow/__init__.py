"""Kraken Flow: one trading system, declared in YAML, run as one graph in every mode."""

__version__ = "0.1.0"
