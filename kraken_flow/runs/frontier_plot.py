"""The plot of an efficient frontier: one page that needs nothing from elsewhere."""

from collections.abc import Sequence
from typing import Any, Protocol


class Portfolio(Protocol):
    """What the plot shows of a portfolio."""

    @property
    def name(self) -> str:
        """Name of the portfolio."""

    @property
    def annual_return(self) -> float:
        """Return of a year, as a share."""

    @property
    def annual_volatility(self) -> float:
        """Volatility of a year, as a share."""

    @property
    def weights(self) -> dict[str, float]:
        """Weights by pair."""


def page(title: str, frontier: Sequence[Portfolio], others: Sequence[Portfolio]) -> str:
    """Return the frontier and the portfolios beside it as HTML, with the script that draws it inside."""
    import plotly.graph_objects as go  # comes with the extra `optimise`

    figure: Any = go.Figure(layout={"title": {"text": title}, "template": "plotly_white"})
    figure.add_scatter(mode="lines+markers", name="frontier", **_points(frontier))
    figure.add_scatter(
        mode="markers+text", name="without means", textposition="top center", **_points(others), text=_names(others)
    )
    figure.update_xaxes(title="volatility of a year", tickformat=".0%")
    figure.update_yaxes(title="return of a year", tickformat=".0%")
    text: str = figure.to_html(include_plotlyjs=True, full_html=True, div_id="frontier")
    return text


def _names(portfolios: Sequence[Portfolio]) -> list[str]:
    return [portfolio.name for portfolio in portfolios]


def _points(portfolios: Sequence[Portfolio]) -> dict[str, Any]:
    told = ["<br>".join(f"{pair} {weight:.1%}" for pair, weight in p.weights.items()) for p in portfolios]
    return {
        "x": [p.annual_volatility for p in portfolios],
        "y": [p.annual_return for p in portfolios],
        "hovertext": [f"{p.name}<br>{weights}" for p, weights in zip(portfolios, told, strict=True)],
    }
