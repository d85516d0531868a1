"""Start the program: `python -m kraken_flow`."""

import sys

from kraken_flow.app import main

if __name__ == "__main__":
    sys.exit(main())
