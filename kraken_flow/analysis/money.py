"""How amounts of the account's currency are written for people."""

_CRYPTO = frozenset({"BTC", "XBT", "ETH"})
"""Currencies of which two decimals are too few."""


def places(currency: str) -> int:
    """Return the decimals that amounts of a currency are shown with."""
    return 8 if currency in _CRYPTO else 2


def money(value: float, currency: str) -> str:
    """Write an amount with the decimals of its currency and without its name; nothing is never written as -0."""
    said = f"{value:,.{places(currency)}f}"
    return said.removeprefix("-") if not said.strip("-0.,") else said
