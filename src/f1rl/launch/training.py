"""A training run from start to end: directory, workers, tokenizer, model, fit, summary."""

from __future__ import annotations

import functools
import logging
import time
import warnings
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from typing import Any

import lightning
import torch
from omegaconf import OmegaConf
from rich.console import Console
from rich.logging import RichHandler

from f1rl.callbacks.checkpoint import restore_random_state
from f1rl.config.schema import Config
from f1rl.errors import ConfigError, EnvironmentFailure, Interrupted, Preempted
from f1rl.launch.build import build_trainer, env_config, share_cores, training_device
from f1rl.launch.explorer import ExplorerAssembly, open_parents
from f1rl.launch.recording import record
from f1rl.launch.rundir import RunDirectory, checkpoint_to_resume, go_on_if_requeued, open_together
from f1rl.launch.signals import StopSignal
from f1rl.launch.summary import print_summary
from f1rl.launch.teacher import TeacherAssembly
from f1rl.models.joint_attention import require_compiler
from f1rl.ranks import Ranks
from f1rl.records.files import write_atomically
from f1rl.records.logs import start_logging
from f1rl.rollout.datamodule import RolloutDataModule
from f1rl.rollout.explorer_data import ExplorerDataModule
from f1rl.typed import to_tree
from f1rl.views.wandb_process import WandbProcess
from f1rl_envs import registry

log = logging.getLogger(__name__)


def train(cfg: Config, ranks: Ranks) -> dict[str, Any]:
    """Train as ``cfg`` says and return the final held-out metrics, on rank 0.

    Raises:
        F1RLError: of the kind that fits; ``run.json`` says how the run ended in any case.
    """
    with StopSignal() as stop:
        config = go_on_if_requeued(to_tree(cfg))
        _check_machine(cfg)
        console = Console(quiet=not ranks.is_first)
        # A checkpoint that does not fit is refused before a run directory is made or cleared.
        parents = open_parents(cfg, config, resumed=checkpoint_to_resume(config) is not None)
        directory = open_together(config, ranks)
        _start_messages(cfg, directory, console, ranks)
        torch.set_num_threads(share_cores(cfg)[1])
        view = WandbProcess(directory.path, directory.file)
        with closing(view), _status(directory, ranks):  # the view is told how the run ended
            if ranks.is_first:
                again = {**config, "resume": None, "overwrite": False}  # repeating a run must not delete or continue it
                write_atomically(directory.path / "config.yaml", OmegaConf.to_yaml(OmegaConf.create(again)).encode())
                if cfg.logger.wandb.mode != "off":
                    view.start()
            for parent in parents:
                log.info("starting from the %s in %s", parent.phase, parent.path)
            if cfg.phase.name == "teacher":
                assembly = TeacherAssembly(cfg, directory, ranks, console, stop.raise_if_requested)
            else:
                assembly = ExplorerAssembly(cfg, directory, parents)
            with closing(assembly.data):
                return _fit_and_record(cfg, config, directory, assembly, ranks, console, stop, view)


def _check_machine(cfg: Config) -> None:
    """Refuse what cannot work here before anything on disk is touched.

    Raises:
        ConfigError: the environment refuses its configuration, or there is no GPU or no compiler.
    """
    try:
        registry.spec(env_config(cfg))
    except ValueError as error:
        raise ConfigError(str(error)) from error
    if cfg.trainer.accelerator == "gpu" and not torch.cuda.is_available():
        raise ConfigError(
            "trainer.accelerator=gpu, but torch finds no CUDA device here; use trainer=auto or trainer=cpu"
        )
    if cfg.model.compile:
        require_compiler(training_device(cfg))


def _fit_and_record(
    cfg: Config,
    config: dict[str, Any],
    directory: RunDirectory,
    assembly: TeacherAssembly | ExplorerAssembly,
    ranks: Ranks,
    console: Console,
    stop: StopSignal,
    view: WandbProcess,
) -> dict[str, Any]:
    """Train; rank 0 keeps the records of all ranks."""
    data = assembly.data
    with _timed(directory, assembly.first_step):
        module = assembly.module()
    held_out = None
    if ranks.is_first:
        with _timed(directory, "held_out_episodes"):
            held_out = assembly.held_out(module)
        _note_devices(directory, data, console)
    stop.raise_if_requested()
    ledger = functools.partial(assembly.ledger, module)
    recording = record(cfg, config, directory, data, held_out, ledger, ranks, console, stop.requested)
    with closing(recording):
        callbacks = [*recording.callbacks, _Handlers(stop)]
        if ranks.is_first:
            directory.file.update(status="training")
            callbacks += [_FirstStep(directory), _Notices(view)]
        _fit(cfg, directory, data, module, callbacks)
    return print_summary(console, directory.path, recording.history) if ranks.is_first else {}


def _fit(
    cfg: Config,
    directory: RunDirectory,
    data: RolloutDataModule | ExplorerDataModule,
    module: lightning.LightningModule,
    callbacks: list[lightning.Callback],
) -> None:
    with warnings.catch_warnings():
        # The stream has no length and needs no worker processes of a loader; Lightning warns of both.
        warnings.filterwarnings("ignore", module="lightning")
        trainer = build_trainer(cfg, callbacks)
        if directory.checkpoint is not None:
            restore_random_state(directory.own_state["random"])
        trainer.fit(module, datamodule=data)


class _Handlers(lightning.Callback):
    """Take the signals back: Lightning installs handlers of its own when fitting begins."""

    def __init__(self, stop: StopSignal) -> None:
        self._stop = stop

    def on_train_start(self, trainer: lightning.Trainer, module: lightning.LightningModule) -> None:
        self._stop.install()


class _FirstStep(lightning.Callback):
    """Record how long it took until the first optimizer step."""

    def __init__(self, directory: RunDirectory) -> None:
        self._directory, self._started = directory, time.perf_counter()

    def on_train_batch_end(self, *arguments: Any) -> None:
        if self._started is not None:
            self._directory.file.timing("first_optimizer_step", time.perf_counter() - self._started)
            self._started = None


class _Notices(lightning.Callback):
    """Say what goes wrong in W&B when it does, not only at the end of the run."""

    def __init__(self, view: WandbProcess) -> None:
        self._view = view

    def on_train_batch_end(self, *arguments: Any) -> None:
        self._view.check()


def _note_devices(directory: RunDirectory, data: RolloutDataModule | ExplorerDataModule, console: Console) -> None:
    """Record what trains and what renders; say once if it is not the first choice."""
    trains = torch.cuda.get_device_name() if torch.cuda.is_available() else f"CPU, {torch.get_num_threads()} threads"
    about, workers = data.about, len(data.worker_status())
    directory.file.update(devices={"training": trains, "workers": workers, **about}, datasets=data.dataset_state())
    renderer = about.get("renderer", {})
    if renderer.get("fallback"):
        directory.file.fallback("renderer", renderer["reason"])
        console.print(f"rendering on {renderer['device']}: {renderer['reason']}", highlight=False, soft_wrap=True)


@contextmanager
def _timed(directory: RunDirectory, name: str) -> Iterator[None]:
    started = time.perf_counter()
    yield
    if directory.is_owned:
        directory.file.timing(name, time.perf_counter() - started)


@contextmanager
def _status(directory: RunDirectory, ranks: Ranks) -> Iterator[None]:
    """Keep ``status`` in ``run.json`` true: done, preempted, interrupted, or failed and why."""

    def note(**values: Any) -> None:
        if ranks.is_first:
            with suppress(EnvironmentFailure):  # a disk that is full now must not hide why the run ends
                directory.file.update(**values)

    try:
        yield
    except Preempted as error:
        note(status="preempted", error=str(error))
        raise
    except (Interrupted, KeyboardInterrupt) as error:
        note(status="interrupted", error=str(error))
        raise
    except BaseException as error:
        note(status="failed", error=f"{type(error).__name__}: {error}")
        raise
    note(status="done", ended=time.time())


def _start_messages(cfg: Config, directory: RunDirectory, console: Console, ranks: Ranks) -> None:
    handler = RichHandler(console=console, show_path=False, log_time_format="[%H:%M:%S]")
    logs = directory.path / "logs"
    start_logging(
        logs if ranks.is_first else logs / f"rank{ranks.rank}",
        console=handler,
        console_level=cfg.logging.console_level,
        file_level=cfg.logging.file_level,
        to_file=cfg.logging.enable_file_logging,
    )
