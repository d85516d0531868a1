"""Lets Hydra find a user's own configuration before ours."""

import os

from hydra.core.config_search_path import ConfigSearchPath, SearchPathQuery
from hydra.plugins.search_path_plugin import SearchPathPlugin

FOLDERS = "KRAKEN_FLOW_SEARCH_PATH"
"""Environment variable that holds the folders while Kraken Flow composes; unset, so without effect, at other times."""


class KrakenFlowSearchPath(SearchPathPlugin):
    """Puts the folders that `kraken_flow.config.paths` found before the program's own configuration."""

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        """Prepend the folders in their order."""
        for folder in filter(None, os.environ.get(FOLDERS, "").split(os.pathsep)):
            search_path.prepend("kraken_flow", f"file://{folder}", anchor=SearchPathQuery(provider="main"))
