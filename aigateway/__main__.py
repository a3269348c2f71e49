"""`python -m aigateway`."""

import sys

from aigateway.cli import main

if __name__ == "__main__":
    sys.exit(main())
