"""`python -m intensity` is the command `intensity`."""

import sys

from intensity.cli import main

if __name__ == "__main__":
    sys.exit(main())
