"""What the phases with an explorer share: it plays, is paid, and learns from what it did."""

from __future__ import annotations

import copy
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, Self

import lightning
import numpy as np
import torch
from torch import Tensor

from f1rl.losses.rewards import RewardScales
from f1rl.models.agent import Agent
from f1rl.models.ema import WeightMean
from f1rl.models.f1 import F1Model
from f1rl.phases.algorithm import Algorithm
from f1rl.phases.base import OptimizerPlan, build_optimizer, clip_gradients
from f1rl.phases.decisions import Rollout
from f1rl.phases.exploration import explore
from f1rl.phases.held_out import imagine
from f1rl.phases.judge import RewardSettings
from f1rl.phases.players import ExplorerPlayer, Player
from f1rl.phases.policy_update import lesson_metrics, make_lesson, update_step
from f1rl.rollout.source import TokenizedEpisode
from f1rl.rollout.streams import EpisodeStreams

# Random streams: the explorer's noise, the dropout behind disagreement, the noise of evaluations.
_EXPLORER, _JUDGE, _EVALUATION = 0, 1, 2


@dataclass(frozen=True)
class ExplorerSettings:
    """How an explorer acts, is paid and learns."""

    plan: OptimizerPlan
    """Of the explorer; its steps are rollouts."""
    algorithm: Algorithm
    rewards: RewardSettings
    camera: int
    """Index of the camera that it sees."""
    seed: int
    """Of its noise."""
    overlap: bool
    """It acts with a copy of the weights from before the update that goes on meanwhile."""


class ExplorerModule(lightning.LightningModule):
    """An explorer and the world model that it acts on; a batch is a whole rollout."""

    def __init__(self, agent: Agent, settings: ExplorerSettings) -> None:
        """Take the networks; the world model is frozen unless a subclass trains it."""
        super().__init__()
        self.automatic_optimization = False
        self.model, self.settings = agent, settings
        self.scales = RewardScales(settings.rewards.weights, settings.rewards.centred)
        self.actor = copy.deepcopy(agent.explorer).requires_grad_(False) if settings.overlap else agent.explorer
        """Whose weights act."""
        wanted = settings.algorithm.name == "grpo" and settings.algorithm.reference_weight > 0
        self.reference = copy.deepcopy(agent.explorer).requires_grad_(False) if wanted else None
        """The first policy, from which the explorer must not go too far."""
        self.slow: F1Model | None = None
        """A world model that learns more slowly, if the surprise is judged by one."""
        self.grad_norm = 0.0
        """Mean gradient norm of the last rollout's updates, before clipping."""
        self.updating = 0.0
        """Seconds spent learning so far."""
        self.means: dict[str, WeightMean] = {}
        """Running means of the parts that learn, by their names in the agent, from the start of training on."""
        self._saved: dict[str, Any] | None = None
        agent.world.eval()

    def train(self, mode: bool = True) -> Self:
        """Set the mode of all but the world model, which is in evaluation mode except while it learns."""
        super().train(mode)
        self.model.world.eval()
        return self

    # ------------------------------------------------------------------------------------------------------- acting
    def play(self, streams: EpisodeStreams, number: int) -> Rollout:
        """Play the queue of ``streams`` as rollout ``number``: the same weights and number make the same rollout."""
        return self.watch(streams, ExplorerPlayer(self.actor, self._generator(number, _EXPLORER, streams.part)), number)

    def sample(self, streams: EpisodeStreams, *, deterministic: bool = False) -> Rollout:
        """Play with the newest weights, for an evaluation: always with the same noise, or with none."""
        noise = None if deterministic else self._generator(0, _EVALUATION, streams.part)
        return self.watch(streams, ExplorerPlayer(self.model.explorer, noise, deterministic=deterministic))

    def watch(self, streams: EpisodeStreams, player: Player, number: int = 0) -> Rollout:
        """Let anybody play, and judge it as the explorer is judged."""
        noise, settings = self._generator(number, _JUDGE, streams.part), self.settings
        return explore(self.model.world, player, streams, settings.rewards, settings.camera, noise, self.slow)

    def before_play(self) -> None:
        """Hand the newest weights to whoever acts."""
        if self.actor is not self.model.explorer:
            self.actor.load_state_dict(self.model.explorer.state_dict())

    def _generator(self, number: int, stream: int, part: int) -> torch.Generator:
        seed = np.random.SeedSequence([self.settings.seed, stream, number, part]).generate_state(1, np.uint64)
        return torch.Generator(self.device).manual_seed(int(seed[0] >> 1))

    # ----------------------------------------------------------------------------------------------------- learning
    def plans(self) -> dict[str, OptimizerPlan]:
        """Return how each part of the agent that learns is updated, by name."""
        return {"explorer": self.settings.plan}

    def on_train_start(self) -> None:
        """Begin the running means, now that the weights are on their device; or go on with the saved ones."""
        saved = (self._saved or {}).get("ema", {})
        for name, plan in self.plans().items():
            if plan.ema is not None:
                self.means[name] = WeightMean(getattr(self.model, name), plan.ema)
                if name in saved:
                    self.means[name].load_state_dict(saved[name])

    @contextmanager
    def mean_weights(self) -> Iterator[None]:
        """Give the parts that learn their mean weights, if there are any, and theirs back: what is evaluated."""
        with ExitStack() as stack:
            for mean in self.means.values():
                stack.enter_context(mean.in_place())
            yield

    def update(self, name: str, loss: Tensor, optimizer: Any) -> float:
        """Update a part of the agent, and its running mean; return the gradient norm before clipping.

        Raises:
            DivergedError: a gradient is not finite.
        """
        optimizer.zero_grad()
        self.manual_backward(loss)
        norm = clip_gradients(getattr(self.model, name), self.plans()[name], self.trainer.global_step)
        optimizer.step()
        if name in self.means:
            self.means[name].update()
        return norm

    def configure_optimizers(self) -> dict[str, Any]:
        """Return the explorer's optimizer and schedule, restored if a checkpoint gave them states."""
        return self._optimizer(self.model.explorer, self.settings.plan, "explorer")

    def _optimizer(self, network: torch.nn.Module, plan: OptimizerPlan, name: str) -> dict[str, Any]:
        optimizer, schedule = build_optimizer(network, plan)
        if self._saved is not None:
            optimizer.load_state_dict(self._saved[name]["optimizer"])
            schedule.load_state_dict(self._saved[name]["schedule"])
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule}}

    def paid(self, rollout: Rollout) -> Tensor:
        """Return the reward of each decision ``float32 [D, E]``, scaled by all rollouts so far, this one included."""
        self.scales.update(rollout.terms, rollout.steps)
        return self.scales.total(rollout.terms, rollout.steps)

    def learn(self, rollout: Rollout, reward: Tensor, optimizer: Any, schedule: Any) -> dict[str, float]:
        """Update the explorer from a rollout, and return what happened (means over its updates).

        Args:
            rollout: of the explorer, or of what it was one update ago.
            reward: ``float32 [D, E]``.
            optimizer: of the explorer.
            schedule: makes one step for the whole rollout.

        Raises:
            DivergedError: a gradient is not finite.
        """
        algorithm, explorer = self.settings.algorithm, self.model.explorer
        lesson = make_lesson(rollout, reward, algorithm)
        history: list[dict[str, float]] = []
        for _ in range(algorithm.epochs):
            for rows in lesson.minibatches(algorithm.minibatch_size):
                step = update_step(explorer, lesson, rows, algorithm, self.reference)
                if algorithm.target_kl is not None and step.metrics["approx_kl"] > algorithm.target_kl and history:
                    break
                norm = self.update("explorer", step.loss, optimizer)
                history.append({**step.metrics, "loss": float(step.loss), "grad_norm": norm})
            else:
                continue
            break
        schedule.step()
        metrics = {name: float(np.mean([entry[name] for entry in history])) for name in history[0]}
        self.grad_norm = metrics.pop("grad_norm")
        return {**metrics, **lesson_metrics(lesson), "policy_updates": float(len(history))}

    # ---------------------------------------------------------------------------------------------------- reporting
    def episode_values(
        self, rollout: Rollout, reward: Tensor, metrics: dict[str, float]
    ) -> dict[int, dict[str, float]]:
        """Return what to record of each episode, by its number."""
        sums = {f"reward_{name}": term.sum(0).tolist() for name, term in rollout.terms.items()}
        sums |= {name: values.tolist() for name, values in rollout.measures.items()}
        sums["episode_reward"] = reward.sum(0).tolist()
        decisions = rollout.valid.sum(0).tolist()
        return {
            episode.index: {
                **{name: values[e] for name, values in sums.items()},
                **behaviour(episode),
                "decisions": decisions[e],
                "kl": metrics.get("kl", metrics["approx_kl"]),
                **metrics,
            }
            for e, episode in enumerate(rollout.episodes)
        }

    def imagine(self, episode: TokenizedEpisode, steps: Sequence[int] | None = None) -> np.ndarray:
        """Return the predicted frames ``uint8 [K, 3, H, W]`` after ``steps`` of ``episode``; None means all."""
        with self.mean_weights():
            return imagine(self.model.world, episode, self.device, steps)

    @property
    def learning_rate(self) -> float:
        """The explorer's learning rate in the next rollout."""
        return self._schedules()[0].get_last_lr()[0]

    def _schedules(self) -> list[Any]:
        found = self.lr_schedulers()
        return found if isinstance(found, list) else [found]

    # -------------------------------------------------------------------------------------------------- checkpoints
    def training_state(self) -> dict[str, Any]:
        """Return what the phase needs to go on, for a checkpoint."""
        return {
            "explorer": {
                "optimizer": self._optimizers()[0].state_dict(),
                "schedule": self._schedules()[0].state_dict(),
            },
            "scales": self.scales.state_dict(),
            "actor": self.actor.state_dict() if self.settings.overlap else None,
            "reference": self.reference.state_dict() if self.reference else None,
            "grad_norm": self.grad_norm,
            "ema": {name: mean.state_dict() for name, mean in self.means.items()},
        }

    def load_training_state(self, state: dict[str, Any]) -> None:
        """Restore what :meth:`training_state` returned; call before training starts."""
        self._saved = state
        self.scales.load_state_dict(state["scales"])
        if self.settings.overlap:
            # Without a copy of its own in the checkpoint (rollout.overlap is new), the newest weights act.
            self.actor.load_state_dict(state["actor"] or self.model.explorer.state_dict())
        if self.reference is not None:
            self.reference.load_state_dict(state["reference"])
        self.grad_norm = state["grad_norm"]

    def rank_state(self) -> dict[str, Any]:
        """Return nothing: there is one training process."""
        return {}

    def _optimizers(self) -> list[Any]:
        found = self.optimizers()
        return found if isinstance(found, list) else [found]

    @contextmanager
    def timed(self) -> Iterator[None]:
        """Add the time spent inside to :attr:`updating`."""
        started = time.perf_counter()
        yield
        self.updating += time.perf_counter() - started


def behaviour(episode: TokenizedEpisode) -> dict[str, float]:
    """Return what an episode did to the world; empty where the environment measures nothing."""
    info, length = episode.episode.info, len(episode)
    values = {"task_return": float(episode.episode.reward.sum())}
    if "object_displacement" in info:
        values |= {"object_displacement": info["object_displacement"], "voxels": info["voxels_visited"]}
        values["contact_rate"] = info["contact_steps"] / length
    return values
