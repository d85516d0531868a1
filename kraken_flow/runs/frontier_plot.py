"""The plot of an efficient frontier: one page that needs nothing from elsewhere."""

import html
from collections.abc import Sequence
from typing import Any, Protocol

PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{title}</title>
<style>
html, body {{ height: 100%; margin: 0; background: #fff }}
main {{ height: 100% }}
@media (prefers-color-scheme: dark) {{
  html, body {{ background: #000 }}
  main {{ filter: invert(1) hue-rotate(180deg) }}
}}
</style>
</head>
<body>
<main aria-label="{title}">
{plot}
</main>
</body>
</html>
"""
"""The page around the plot: as wide as a phone or a desk, light or dark as the system is."""


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

    layout = {
        "title": {"text": html.escape(title)},
        "template": "plotly_white",
        "legend": {"orientation": "h", "yanchor": "bottom", "y": 1.0},
        "margin": {"l": 60, "r": 30},
    }
    figure: Any = go.Figure(layout=layout)
    figure.add_scatter(mode="lines+markers", name="frontier", **_points(frontier))
    beside = ["top center", "middle left", "middle right"]  # those without means lie close together
    places = [beside[k % 3] for k in range(len(others))]
    figure.add_scatter(
        mode="markers+text", name="without means", textposition=places, **_points(others), text=_names(others)
    )
    figure.update_xaxes(title="volatility of a year", tickformat=".0%")
    figure.update_yaxes(title="return of a year", tickformat=".0%")
    plot: str = figure.to_html(include_plotlyjs=True, full_html=False, div_id="frontier", config={"responsive": True})
    return PAGE.format(title=html.escape(title), plot=plot)


def _names(portfolios: Sequence[Portfolio]) -> list[str]:
    return [portfolio.name for portfolio in portfolios]


def _points(portfolios: Sequence[Portfolio]) -> dict[str, Any]:
    told = ["<br>".join(f"{pair} {weight:.1%}" for pair, weight in p.weights.items()) for p in portfolios]
    return {
        "x": [p.annual_volatility for p in portfolios],
        "y": [p.annual_return for p in portfolios],
        "hovertext": [f"{p.name}<br>{weights}" for p, weights in zip(portfolios, told, strict=True)],
    }
