"""``python -m f1rl report``: one run as text, pictures, tables or a page."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from f1rl.errors import UsageError
from f1rl.records.metrics import shared_clocks
from f1rl.records.reader import RunRecords
from f1rl.tools.arguments import Parser
from f1rl.tools.report.summary import text_summary


def main(words: Sequence[str]) -> int:
    """Print the summary of a run and write what else is asked for.

    Raises:
        ConfigError: there is no run.
        UsageError: the words make no sense.
    """
    parser = _parser()
    options = parser.parse_args(words)
    if (options.run is None) == (options.log is None):
        parser.error("name one run: a run directory or a training_log.json")
    run = RunRecords(options.run or options.log)
    clock = choose_clock(run, options.clock)
    print(text_summary(run))
    folder = options.output or run.directory / "report"
    asked = options.plots or options.csv or options.html
    written: list[Path] = []
    if (options.plots or (options.output and not asked)) and not options.no_plot:
        from f1rl.tools.report.plots import write_plots

        written += write_plots(run, folder, clock)
    if options.csv:
        from f1rl.tools.report.export import write_csv

        written += write_csv(run, folder)
    if options.html:
        from f1rl.tools.report.page import write_page

        written.append(write_page(run, folder / "report.html", clock))
    for path in written:
        print(f"wrote {path}")
    return 0


def choose_clock(run: RunRecords, wanted: str | None) -> str | None:
    """Return what curves are drawn over; None if the records have no clock in common.

    Raises:
        UsageError: the histories of ``run`` lack ``wanted``.
    """
    clocks = shared_clocks(run)
    if wanted is None:
        return clocks[0] if clocks else None
    if wanted not in clocks:
        raise UsageError(f"--clock {wanted}: {run.name} can be drawn over {', '.join(clocks) or 'no clock'} only")
    return wanted


def _parser() -> Parser:
    parser = Parser("report", "Summarise a run; works while it goes on, after it ended or was killed, and on a copy.")
    parser.add_argument("run", nargs="?", type=Path, metavar="RUN", help="a run directory or a training_log.json")
    parser.add_argument("--log", type=Path, help="the same, as an option")
    parser.add_argument("--plots", action="store_true", help="write one PNG for every quantity")
    parser.add_argument(
        "--csv", "--export-csv", action="store_true", help="write train_history.csv and val_history.csv"
    )
    parser.add_argument("--html", action="store_true", help="write report.html, one page that needs no network")
    parser.add_argument(
        "--output", type=Path, metavar="DIR", help="folder of what is written (default: RUN/report); alone: of plots"
    )
    parser.add_argument("--no-plot", action="store_true", help="write no PNG, whatever else is asked for")
    parser.add_argument("--clock", metavar="NAME", help="what curves are drawn over: env_step, step or episode")
    return parser
