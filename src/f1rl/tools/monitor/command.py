"""``python -m f1rl monitor``: how a run is doing, once or as long as it goes on."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from f1rl.errors import ConfigError, UsageError
from f1rl.records.files import write_atomically
from f1rl.records.reader import RunRecords, find_runs
from f1rl.tools.arguments import Parser
from f1rl.tools.monitor.snapshot import Watch
from f1rl.tools.monitor.status_page import status_page
from f1rl.tools.runs import FOLDERS

_DEFAULT_REPORT = Path("monitor.txt")
_REFRESH = 2.0  # seconds between two looks of a live view


def main(words: Sequence[str]) -> int:
    """Show a run in the chosen way.

    Raises:
        ConfigError: there is no run.
        UsageError: the words make no sense.
    """
    parser = _parser()
    options = parser.parse_args(words)
    if options.run is not None and options.run_dir is not None:
        parser.error(f"name one run, not both {options.run} and --run-dir {options.run_dir}")
    if options.refresh is not None and options.refresh <= 0:
        parser.error(f"--refresh {options.refresh:g}: seconds between two looks, above 0")
    watch = Watch(RunRecords(options.run or options.run_dir or newest_run()))
    refresh = options.refresh or _REFRESH
    if options.mode == "dashboard":
        from f1rl.tools.monitor.dashboard import show_dashboard

        show_dashboard(watch, refresh)
    elif options.mode == "web":
        _web(watch.run, options.host, options.port, refresh)
    elif options.mode == "plot":
        _plot(watch, refresh)
    else:
        _status(watch, options.refresh, options.save_report, options.plot)
    return 0


def newest_run() -> Path:
    """Return the run below ``outputs`` and ``multirun`` that gave the newest sign of life.

    Raises:
        ConfigError: there is none.
    """
    paths = [path for folder in FOLDERS for path in find_runs(folder)]
    if not paths:
        where = " and ".join(f"{folder}/" for folder in FOLDERS)
        raise ConfigError(f"there are no runs in {where}; name one: python -m f1rl monitor RUN")
    return max(paths, key=lambda path: RunRecords(path, newest_only=True).status().last_seen or 0.0)


def _status(watch: Watch, refresh: float | None, report: Path | None, plot: bool) -> None:
    """Print the status page, again and again until the run is over or Ctrl-C if ``refresh`` is given."""
    console = Console(highlight=False, soft_wrap=True)
    moment = watch.look()
    console.print(status_page(moment), markup=False)
    try:
        while refresh is not None and moment.status.may_go_on:
            time.sleep(refresh)
            moment = watch.look()
            console.clear()
            console.print(status_page(moment), markup=False)
    except KeyboardInterrupt:  # the way to leave it
        console.print()
    if report is not None:
        path = watch.run.directory / "report" / report if report == _DEFAULT_REPORT else report
        write_atomically(path, f"{status_page(moment)}\n".encode())
        console.print(f"wrote {path}", markup=False)
    if plot:
        from f1rl.tools.monitor.charts import write_charts

        path = write_charts(watch, watch.run.directory / "report" / "monitor.png")
        console.print(f"wrote {path}", markup=False)


def _plot(watch: Watch, refresh: float) -> None:
    """Keep the six charts up to date: in a window, or as a picture where there is no display."""
    from f1rl.tools.monitor.charts import has_window, show_charts, write_charts

    if has_window():
        show_charts(watch, refresh)
        return
    moment = watch.look()
    path = write_charts(watch, watch.run.directory / "report" / "monitor.png")
    print(f"there is no display; {path} is kept up to date until the run is over, or Ctrl-C", flush=True)
    try:
        while moment.status.may_go_on:
            time.sleep(refresh)
            moment = watch.look()
            write_charts(watch, path)
    except KeyboardInterrupt:  # the way to leave it
        print()


def _web(run: RunRecords, host: str, port: int, refresh: float) -> None:
    """Serve the live page.

    Raises:
        UsageError: its packages are not installed.
    """
    try:
        from f1rl.tools.monitor.web.server import serve
    except ModuleNotFoundError as error:
        raise UsageError(f"--web needs {error.name}: pip install -e '.[web]'") from error
    serve(run, host, port, refresh)


def _parser() -> Parser:
    parser = Parser("monitor", "Show how a run is doing; works while it goes on, after it ended or was killed.")
    parser.add_argument("run", nargs="?", type=Path, metavar="RUN", help="a run directory (default: the newest)")
    parser.add_argument("--run-dir", type=Path, metavar="RUN", help="the same, as an option")
    parser.add_argument(
        "--mode", choices=("status", "dashboard", "plot", "web"), default="status",
        help="a page of text, a live dashboard in the terminal, six live charts in a window (PNG without a display), "
        "or a live page in the browser",
    )  # fmt: skip
    parser.add_argument(
        "--dashboard", action="store_const", dest="mode", const="dashboard", help="short for --mode dashboard"
    )
    parser.add_argument("--web", action="store_const", dest="mode", const="web", help="short for --mode web")
    parser.add_argument("--host", default="127.0.0.1", help="address of the live page (default: this machine only)")
    parser.add_argument("--port", type=int, default=8765, help="its port (default: 8765; 0: any free one)")
    parser.add_argument("--refresh", type=float, metavar="N", help="look again every N seconds while the run goes on")
    parser.add_argument(
        "--save-report", nargs="?", type=Path, const=_DEFAULT_REPORT, metavar="FILE",
        help="write the page to FILE (default: RUN/report/monitor.txt)",
    )  # fmt: skip
    parser.add_argument("--plot", action="store_true", help="write the six charts to RUN/report/monitor.png")
    return parser
