"""The rivals live in an environment of their own (`make bench`); where they are missing, their module is left out."""

from importlib.util import find_spec

collect_ignore = [] if find_spec("vectorbt") else ["rivals.py"]
