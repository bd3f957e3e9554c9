"""Build the teacher phase: episodes, tokenizer, world model, what to judge by."""

from __future__ import annotations

import logging
from collections.abc import Callable

from rich.console import Console

from f1rl.checkpoint import load_model_weights
from f1rl.config.schema import Config
from f1rl.launch.build import build_data, env_config, optimizer_plan
from f1rl.launch.encoding import encoder
from f1rl.launch.rundir import RunDirectory
from f1rl.launch.tokenizer import obtain_tokenizer
from f1rl.launch.world_model import build_world_model, plan_world_model, require_sense
from f1rl.models.tokenizer import FrameTokenizer
from f1rl.phases.teacher import TeacherModule
from f1rl.ranks import Ranks
from f1rl.rollout.source import TokenizedEpisode

log = logging.getLogger(__name__)


class TeacherAssembly:
    """The parts of a teacher run.

    Attributes:
        data: its episodes; the caller closes it.
        first_step: what takes long before the network is there, for the record of start-up times.
    """

    first_step = "tokenizer"

    def __init__(
        self, cfg: Config, directory: RunDirectory, ranks: Ranks, console: Console, check: Callable[[], None]
    ) -> None:
        """Open the data; ``check`` is called now and then later, and may raise to stop."""
        self._cfg, self._directory, self._console, self._check = cfg, directory, console, check
        plan, line = plan_world_model(cfg)
        log.info("%s", line)
        if ranks.is_first:
            directory.file.update(plan=plan.as_dict())
        saved = directory.checkpoint.training.get("datasets") if directory.checkpoint else None
        self.data = build_data(cfg, env_config(cfg), directory.path, ranks.rank, saved)

    def module(self) -> TeacherModule:
        """Return the phase with its model, as new or as the checkpoint left it."""
        cfg, data, checkpoint = self._cfg, self.data, self._directory.checkpoint
        model = build_world_model(cfg, self._train_tokenizer, resumed=checkpoint is not None)
        data.set_encoder(encoder(model.tokenizer), model.tokenizer.num_tokens)
        carry_memory = cfg.bptt.sequential_training
        module = TeacherModule(model, optimizer_plan(cfg), carry_memory=carry_memory, camera=data.camera)
        if checkpoint is not None:
            own = self._directory.own_state
            load_model_weights(model, checkpoint.model, self._directory.path)
            module.load_training_state(checkpoint.training["module"])
            module.load_rank_state(own["module"])
            data.position = own["position"]
        return module

    def _train_tokenizer(self) -> FrameTokenizer:
        return obtain_tokenizer(self._cfg, env_config(self._cfg), self.data, self._console, self._check)

    def held_out(self, module: TeacherModule) -> list[TokenizedEpisode]:
        """Return the episodes that the world model is judged by.

        Raises:
            CheckpointError: it was loaded from published weights, and predicts them worse than a guess.
        """
        episodes = self.data.held_out(self._cfg.phase.val_episodes)
        if self._directory.checkpoint is None:
            require_sense(self._cfg, module.model, episodes)
        return episodes

    def ledger(self, module: TeacherModule) -> dict[str, float]:
        """Return the seconds that each part has taken so far."""
        return self.data.ledger()
