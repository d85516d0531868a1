"""Start the program: `python -m kraken_flow`."""

import sys


def start() -> int:
    """Run the program; say in one line where this Python lacks what it needs."""
    try:
        from kraken_flow.app import main

        return main()
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] == "kraken_flow":
            raise
        # Most often the Python of the system in place of that of the environment.
        sys.stderr.write(
            f"error: {error.name} is not installed for {sys.executable}; use .venv/bin/python, made by `make demo`, "
            "or install the package: pip install .\n"
        )
        return 2


if __name__ == "__main__":
    sys.exit(start())
