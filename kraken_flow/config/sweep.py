"""Many runs from one command line: Hydra's multirun composes the members, ours runs each."""

import os
import sys
import tempfile
from collections.abc import Callable, Sequence
from typing import Any

import hydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from kraken_flow.config.arguments import Arguments, quoted
from kraken_flow.config.composition import Composition, chosen, hydra_errors, own_hydra, plain, primary, search_path
from kraken_flow.config.paths import own_conf

Member = Callable[[Callable[[], Composition], int, Sequence[str]], Any]
"""Runs one member, given how to compose it, its number and its overrides."""


def run_members(arguments: Arguments, member: Member) -> None:
    """Call `member` once per combination of the swept values; its overrides leave out `run_dir`, the sweep's own.

    Hydra's sweeper and launcher decide which members there are and where they run. `member` returns what the sweeper
    optimises, and handles its own errors. What Hydra itself writes goes to a folder that is removed.
    """

    def job(cfg: DictConfig) -> Any:
        about = HydraConfig.get()
        number = int(about.job.num)
        overrides = [str(word) for word in OmegaConf.to_container(about.overrides.task) or []]
        overrides = [word for word in overrides if not word.lstrip("+").startswith("run_dir=")]
        choices = chosen(about)

        def composition() -> Composition:
            found, problems = plain(cfg)
            return Composition(found, choices, {}, problems)

        return member(composition, number, overrides)

    scratch = tempfile.TemporaryDirectory(prefix="kraken-flow-")
    words = [
        "--multirun",
        *arguments.overrides,
        f"hydra.sweep.dir={quoted(scratch.name)}",
        "hydra.sweep.subdir=${hydra.job.num}",
        "hydra.output_subdir=null",
        *(
            []
            if any(word.startswith("hydra/sweeper=") for word in arguments.overrides)
            else ["hydra/sweeper=kraken_flow"]
        ),
        "hydra/job_logging=none",
        "hydra/hydra_logging=none",
    ]
    before = sys.argv, os.environ.get("HYDRA_FULL_ERROR")
    sys.argv = [before[0][0], *words]
    os.environ["HYDRA_FULL_ERROR"] = "1"
    try:
        with scratch, search_path(), hydra_errors(), own_hydra():
            name = primary(arguments)
            hydra.main(version_base="1.3", config_path=str(own_conf()), config_name=name)(job)()
    finally:
        sys.argv = before[0]
        if before[1] is None:
            del os.environ["HYDRA_FULL_ERROR"]
