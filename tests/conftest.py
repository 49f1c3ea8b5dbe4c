"""Profiles of hypothesis, and helpers of the tests of several packages."""

import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
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


@pytest.fixture(scope="session", autouse=True)
def signals_as_in_a_terminal() -> Iterator[None]:
    """Handle signals as in a terminal, also in the background or under nohup, where some are ignored.

    Programs that tests start, and send signals to, inherit that.
    """
    usual = {signal.SIGINT: signal.default_int_handler}
    if hasattr(signal, "SIGHUP"):
        usual[signal.SIGHUP] = signal.SIG_DFL
    ignored = [number for number in usual if signal.getsignal(number) is signal.SIG_IGN]
    for number in ignored:
        signal.signal(number, usual[number])
    yield
    for number in ignored:
        signal.signal(number, signal.SIG_IGN)
