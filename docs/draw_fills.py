"""Draws the pictures of `docs/fills.md` from the scenarios that both engines reproduce: `python -m docs.draw_fills`."""

from dataclasses import dataclass
from pathlib import Path

from tests.golden.bars import BARS, rows_of
from tests.golden.scenarios import SCENARIOS

IMAGES = Path(__file__).with_name("images")
STYLE = (
    "text{font:13px system-ui,sans-serif;fill:#333}.faint{fill:#777}.up{fill:#fff;stroke:#00796b}"
    ".down{fill:#00796b;stroke:#00796b}.wick{stroke:#00796b}.level{stroke:#888;stroke-dasharray:5 4}"
    ".path{fill:none;stroke:#e65100;stroke-width:2}.fill{fill:#e65100}.card{fill:#fff}"
    "@media(prefers-color-scheme:dark){text{fill:#ddd}.faint{fill:#aaa}.card,.up{fill:#1e1e1e}"
    ".up,.down,.wick{stroke:#4db6ac}.down{fill:#4db6ac}.path{stroke:#ffb74d}.fill{fill:#ffb74d}}"
)
WIDTH, HEIGHT, LEFT, TOP, STEP = 320, 260, 34, 46, 58


@dataclass(frozen=True)
class Panel:
    """One drawing: a scenario's bars up to one of them, the price path inside that bar, and levels by name."""

    scenario: str
    title: str
    last: int
    path: str
    levels: tuple[tuple[str, float], ...]


PICTURES = {
    "low-first": Panel("S07", "pessimistic: the low comes first", 2, "OLHC", (("target 106", 106), ("stop 97", 97))),
    "high-first": Panel("S07-ohlc", "ohlc: the high comes first", 2, "OHLC", (("target 106", 106), ("stop 97", 97))),
    "stop-reached": Panel("S05", "reached inside the bar: at the level", 2, "OLHC", (("stop 97", 97),)),
    "stop-jumped": Panel("S06", "jumped over: at the open", 2, "O", (("stop 97", 97),)),
    "limit-through": Panel("S10a", "through: the low has to go below", 3, "OHL", (("limit 99", 99),)),
    "limit-touch": Panel("S10b", "touch: reaching it is enough", 1, "OL", (("limit 99", 99),)),
}
"""The pictures by file name; two of them fit beside each other on a desk and stand below each other on a phone."""


def fill_of(panel: Panel) -> float:
    """Return the price at which the scenario fills in the panel's bar."""
    fills = next(s.fills for s in SCENARIOS if s.name == panel.scenario)
    (price,) = (float(fill.split("@")[1].split()[0]) for fill in fills if fill.startswith(f"b{panel.last} "))
    return price


def bars_of(panel: Panel) -> list[list[float]]:
    """Return open, high, low, close of the panel's bars."""
    name = next(s.bars for s in SCENARIOS if s.name == panel.scenario)
    return [[float(x) for x in row[:4]] for row in rows_of(BARS[name])[: panel.last + 1]]


def drawn(panel: Panel) -> list[str]:
    """Return the panel's elements."""
    bars = bars_of(panel)
    prices = [p for bar in bars for p in bar] + [level for _, level in panel.levels]
    high, low = max(prices), min(prices)

    def y(price: float) -> float:
        return TOP + (high - price) / (high - low) * (HEIGHT - TOP - 40)

    out = [f'<text x="{LEFT - 18}" y="24">{panel.title}</text>']
    for name, level in panel.levels:
        out.append(f'<path class="level" d="M{LEFT - 18} {y(level):.1f}H{WIDTH - 16}"/>')
        out.append(f'<text class="faint" x="{LEFT - 18}" y="{y(level) - 5:.1f}">{name}</text>')
    step = STEP if panel.last < 3 else STEP * 3 / 4
    for i, (opened, highest, lowest, close) in enumerate(bars):
        x = LEFT + 44 + i * step
        out.append(f'<path class="wick" d="M{x} {y(highest):.1f}V{y(lowest):.1f}"/>')
        top, bottom = min(y(opened), y(close)), max(y(opened), y(close))
        kind = "up" if close >= opened else "down"
        out.append(f'<rect class="{kind}" x="{x - 9}" y="{top:.1f}" width="18" height="{max(bottom - top, 1.5):.1f}"/>')
        out.append(f'<text class="faint" x="{x - 8}" y="{HEIGHT - 12}">b{i}</text>')
    x, named = LEFT + 44 + panel.last * step, dict(zip("OHLC", bars[-1], strict=True))
    price = fill_of(panel)
    places, walked = [], [named[letter] for letter in panel.path]
    for k, (a, b) in enumerate(zip(walked, walked[1:] + walked[-1:], strict=True)):
        places.append(f"{x + 16 + 9 * k:.1f} {y(a):.1f}")
        if min(a, b) <= price <= max(a, b):
            share = (price - a) / (b - a) if b != a else 0.0
            places.append(f"{x + 16 + 9 * (k + share):.1f} {y(price):.1f}")
            break
    end_x, end_y = places[-1].split()
    out.append(f'<path class="path" d="M{" L".join(places)}"/><circle class="fill" cx="{end_x}" cy="{end_y}" r="5"/>')
    out.append(f'<text x="{float(end_x) + 10:.1f}" y="{float(end_y) + 14:.1f}">fills at {price:g}</text>')
    return out


def picture(name: str) -> str:
    """Return a picture as SVG."""
    panel = PICTURES[name]
    size = f'width="{WIDTH}" height="{HEIGHT}" viewBox="0 0 {WIDTH} {HEIGHT}"'
    words = f"{panel.title}: fills at {fill_of(panel):g}"
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" aria-label="{words}">'
    card = '<rect class="card" width="100%" height="100%"/>'
    return "\n".join([head, f"<style>{STYLE}</style>", card, *drawn(panel), "</svg>", ""])


if __name__ == "__main__":
    IMAGES.mkdir(exist_ok=True)
    for each in PICTURES:
        (IMAGES / f"{each}.svg").write_text(picture(each), "utf-8")
