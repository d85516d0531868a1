"""The text of `--help`. Imports the standard library only."""

from kraken_flow import __version__
from kraken_flow.config.paths import GROUPS, SETTINGS, options, summary

_HEAD = """\
Kraken Flow {version}: one trading system, declared in YAML, run as one graph.

USAGE
  python -m kraken_flow [key=value ...] [flags]

  group=option       pick an option of a group:            strategy=sma_cross
  group.key=value    set one of its keys:                  strategy.fast=5
  key=value          set a key of the run:                 timeframe=4h
  pairs=[A/B,C/D]    trade these pairs (quote the brackets in zsh and fish)
  null               switches a key off:                   risk.position.stop_loss=null
  -m key=a,b,c       run every combination, ranked in leaderboard.csv
"""

_TAIL = """\
FLAGS
  -h, --help             this text
  -m, --multirun         run every combination of the comma-separated values
  -cd, --config-dir DIR  search DIR for configuration first
  -cn, --config-name F   start from the file F.yaml of yours instead of config.yaml
  --cfg job              print the composed configuration and stop
  --version              print the version

EXAMPLES
  Run the default strategy on the bundled synthetic market:
    python -m kraken_flow
  Run it on your own candles:
    python -m kraken_flow strategy=sma_cross data=files data.path=candles/ 'pairs=[BTC/USD]' timeframe=1h
  Try twelve parameter pairs:
    python -m kraken_flow -m strategy=sma_cross strategy.fast=5,10,20 strategy.slow=50,100,150,200
  See every key, its value and where it comes from, and the graph:
    python -m kraken_flow mode=describe strategy=combined
  Start a strategy of your own:
    python -m kraken_flow mode=new mode.name=my_idea
  Keep everything in one file of yours, my.yaml:
    python -m kraken_flow --config-dir . --config-name my

FILES
  conf/, strategies/     yours, in the working directory, come before ours
  .env                   variables for this directory; the real environment wins
  runs/                  one folder per run; runs/latest is the newest

ENVIRONMENT
  KRAKEN_FLOW_CONF       more configuration folders, separated as in PATH
  LOG_LEVEL              DEBUG, INFO, WARNING, ERROR; DEBUG shows tracebacks
  Any variable is read in YAML as ${oc.env:NAME}, or ${oc.env:NAME,default}.

EXIT CODES
  0 done    1 a run or a check failed    2 the input is wrong    130 interrupted
"""


def manual() -> str:
    """Return the manual: usage, groups with their options, keys, examples, exit codes."""
    lines = [_HEAD.format(version=__version__), "GROUPS AND THEIR OPTIONS"]
    for group, about in GROUPS.items():
        lines.append(f"  {group}: {about}")
        known = options(group)
        width = max(map(len, known), default=0)
        lines += [f"    {name:<{width}}  {summary(path)}" for name, path in known.items()]
    lines += ["", "KEYS OF THE RUN", *(f"  {key:<10} {about}" for key, about in SETTINGS.items()), "", _TAIL]
    return "\n".join(lines).rstrip()
