"""`python -m bench [NAME…] [--json] [--quick]`."""

from __future__ import annotations

import sys

from .runner import main

# A process of its own imports this too, to measure memory in.
if __name__ == "__main__":
    sys.exit(main())
