"""`python -m image_intensity.cli` is the command `intensity`."""

import sys

from image_intensity.cli import main

if __name__ == "__main__":
    sys.exit(main())
