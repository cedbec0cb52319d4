"""`python -m loadtests.stress --seed N`: prints one JSON object; exit status 1 when a promise was not kept."""

import sys

from loadtests.stress.command import main

if __name__ == "__main__":
    sys.exit(main())
