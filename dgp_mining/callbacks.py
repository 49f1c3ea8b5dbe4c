"""Callbacks: the events of a mining run, and progress bars that show them."""

from __future__ import annotations

from typing import Any

from .planning.plan import Plan
from .progress import ProgressCallback
from .retry import RunError
from .store.store import Store
from .workers.messages import Progress


class Callback(ProgressCallback):
    """Receives the events of a run; override the methods of interest, the others do nothing.

    `mine` calls all methods, of which `on_progress` only if it plans for seconds; `survey`, `merge`,
    `verify`, `summarise`, `build_dictionary` and `write_report` call that one. All are called in the caller's
    process and thread, except that `on_message` is called in another thread after Ctrl-C. An exception that a
    method raises ends the run; finished chunks are kept.

    >>> from dgp_mining.store.part import Chunk
    >>> class Counter(Callback):
    ...     crops = 0
    ...     def on_chunk(self, progress):
    ...         self.crops += progress.done
    >>> counter = Counter()
    >>> counter.on_chunk(Progress(Chunk("0123456789abcdef", 0), done=3, failed=1, psnr=120.0, seconds=0.5))
    >>> counter.on_message("no effect")
    >>> counter.crops
    3
    """

    def on_plan(self, plan: Plan, store: Store) -> None:
        """The run is planned and its store is open; this run has fitted nothing yet."""

    def on_chunk(self, progress: Progress) -> None:
        """A chunk of crops has been fitted and written to the store."""

    def on_undone(self, store: str) -> None:
        """The run has ended before its first chunk, and the store that it would have replaced is back."""

    def on_end(self, store: Store) -> None:
        """The run has finished; not called if it was interrupted or raised an error."""


class TqdmCallback(Callback):
    """Progress bars with tqdm, for notebooks and terminals: `mine(images, callback=TqdmCallback())`.

    Raises RunError if tqdm is not installed.
    """

    def __init__(self) -> None:
        try:
            from tqdm.auto import tqdm
        except ImportError as error:
            raise RunError("TqdmCallback needs tqdm: pip install 'dgp-mining[notebook]'.") from error
        self._tqdm: Any = tqdm
        self._bar: Any = None
        self._what = ""
        self._done, self._psnr = 0, 0.0

    def on_plan(self, plan: Plan, store: Store) -> None:
        """Open a bar over all crops of the store."""
        self._done, self._psnr = 0, 0.0
        self._open("Fitting", len(store), int((~store.unfinished()).sum()), "crop")

    def on_chunk(self, progress: Progress) -> None:
        """Advance the bar, with the mean PSNR so far."""
        self._done += progress.done
        self._psnr += progress.psnr
        if self._done:
            self._bar.set_postfix_str(f"{self._psnr / self._done:.2f} dB", refresh=False)
        self._bar.update(progress.done + progress.failed)

    def on_message(self, text: str) -> None:
        """Print a message above the bar."""
        self._tqdm.write(text)

    def on_progress(self, what: str, done: int, total: int) -> None:
        """Show `done` of `total` on a bar for `what`, which is opened if necessary and closed when full."""
        if self._bar is None or self._what != what:
            self._open(what, total or None, 0, "it")
        self._bar.update(done - self._bar.n)
        if done >= total > 0:
            self._close()

    def on_end(self, store: Store) -> None:
        """Close the bar."""
        self._close()

    def _open(self, what: str, total: int | None, initial: int, unit: str) -> None:
        self._close()
        self._what, self._bar = what, self._tqdm(desc=what, total=total, initial=initial, unit=unit)

    def _close(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None
