"""Profiles of hypothesis, and helpers of the tests of several packages."""

import sys
from pathlib import Path

from hypothesis import HealthCheck, settings

sys.path.insert(0, str(Path(__file__).parent))  # mutations.py and the like

# The same examples in every run: a failure is repeated by the same command, and CI does not depend on luck.
settings.register_profile("quick", deadline=None, derandomize=True, database=None)
settings.register_profile(
    "long",
    deadline=None,
    database=None,
    max_examples=3000,
    print_blob=True,
    suppress_health_check=list(HealthCheck),
)
settings.load_profile("quick")
