"""The instrument: what runs inside an image and measures its cells.

Needs Python 3.10 or newer, torch 2.9 or newer and numpy, and nothing else. It is mounted into the image, never installed.
"""

import time

STARTED = time.time()
"""When Python had come so far: the first thing that a launch does."""
