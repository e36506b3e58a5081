"""The tests; imported before all that they import.

To compile what is tested, and to rewrite its asserts, takes each worker ten seconds:
until the tests begin, that is kept for the next run, whatever the environment says.
"""

import sys

WRITES_NO_BYTECODE = sys.dont_write_bytecode
sys.dont_write_bytecode = False
