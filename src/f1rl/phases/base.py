"""What the phases share: optimizer, schedule, gradient clipping that notices divergence."""

from __future__ import annotations

import math
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import lightning
import numpy as np
import torch
from torch.optim.lr_scheduler import LambdaLR

from f1rl.errors import DivergedError
from f1rl.models.ema import WeightMean
from f1rl.phases.parameter_groups import Ratios, parameter_groups


@dataclass(frozen=True)
class OptimizerPlan:
    """How parameters are updated."""

    learning_rate: float
    memory_lr_ratio: float
    """Learning rate of the recurrent memory as a share of the others'."""
    weight_decay: float
    betas: tuple[float, float]
    grad_clip: float
    """Largest global gradient norm."""
    warmup_steps: int
    total_steps: int
    """Optimizer steps of the whole run; the end of the cosine."""
    schedule: str
    """``cosine`` or ``constant``."""
    min_lr_ratio: float
    """Learning rate at the end of the cosine, as a share of its peak."""
    lr_ratios: Ratios = ()
    """Learning rates of other parts, as shares, by the beginnings of their parameters' names."""
    ema: float | None = None
    """Decay of a running mean of the weights; None keeps none."""

    def scale(self, step: int) -> float:
        """Return the factor on the learning rate at optimizer step ``step``."""
        if step < self.warmup_steps:
            return (step + 1) / self.warmup_steps
        if self.schedule == "constant":
            return 1.0
        progress = min(1.0, (step - self.warmup_steps) / max(1, self.total_steps - self.warmup_steps))
        return self.min_lr_ratio + (1 - self.min_lr_ratio) * 0.5 * (1 + math.cos(math.pi * progress))


def build_optimizer(model: torch.nn.Module, plan: OptimizerPlan) -> tuple[torch.optim.AdamW, LambdaLR]:
    """Return AdamW over the parameters of ``model`` that have ``requires_grad``, and its schedule."""
    ratios = (("memory.", plan.memory_lr_ratio), *plan.lr_ratios)
    groups = parameter_groups(model, plan.learning_rate, plan.weight_decay, ratios)
    optimizer = torch.optim.AdamW(groups, lr=plan.learning_rate, betas=plan.betas)
    return optimizer, LambdaLR(optimizer, plan.scale)


def clip_gradients(model: torch.nn.Module, plan: OptimizerPlan, step: int) -> float:
    """Clip the global gradient norm of ``model`` and return what it was.

    Args:
        model: its gradients are there.
        plan: how far.
        step: optimizer steps of this segment so far, for the message.

    Raises:
        DivergedError: a gradient is not finite; the parameters are as they were.
    """
    norm = float(torch.nn.utils.clip_grad_norm_(model.parameters(), plan.grad_clip))
    if not math.isfinite(norm):
        raise DivergedError(
            f"the gradient of the update after {step} optimizer steps of this segment is "
            f"{norm}; the parameters were not changed by it, and the checkpoints before it are intact. "
            f"Start again with a lower learning rate (now {plan.learning_rate:g}: phase.learning_rate, or that of an "
            "adversary's world model, phase.adversary.wm_learning_rate) or more "
            "phase.warmup_steps in another output_dir; debug=nan names the operation that produced it"
        )
    return norm


class PhaseModule(lightning.LightningModule):
    """A phase: the model, its optimizer, and the memory state carried across windows."""

    def __init__(self, model: torch.nn.Module, plan: OptimizerPlan) -> None:
        """Wrap ``model``; only its parameters with ``requires_grad`` are trained."""
        super().__init__()
        self.model, self.plan = model, plan
        self.memory: torch.Tensor | None = None
        """``[num_layers, B, hidden]`` after the last window, detached; None before the first."""
        self.grad_norm = 0.0
        """Global gradient norm of the last update, before clipping."""
        self._optimizer_states: dict[str, Any] | None = None
        self.ema: WeightMean | None = None
        """Running mean of the trained weights, from the start of training on if the plan asks for one."""
        self._ema_state: dict[str, Any] | None = None

    def on_train_start(self) -> None:
        """Begin the running mean, now that the weights are on their device; or go on with the saved one."""
        if self.plan.ema is not None:
            self.ema = WeightMean(self.model, self.plan.ema)
            if self._ema_state is not None:
                self.ema.load_state_dict(self._ema_state)

    def optimizer_step(self, *arguments: Any, **keywords: Any) -> None:
        """Update the parameters and their running mean; called once for all accumulated gradients."""
        super().optimizer_step(*arguments, **keywords)
        if self.ema is not None:
            self.ema.update()

    def mean_weights(self) -> AbstractContextManager[None]:
        """Return a context in which the model has its mean weights, if there are any: what is evaluated."""
        return nullcontext() if self.ema is None else self.ema.in_place()

    def configure_optimizers(self) -> dict[str, Any]:
        """Return AdamW and its schedule, restored if a checkpoint gave them states."""
        optimizer, schedule = build_optimizer(self.model, self.plan)
        if self._optimizer_states is not None:
            optimizer.load_state_dict(self._optimizer_states["optimizer"])
            schedule.load_state_dict(self._optimizer_states["schedule"])
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def configure_gradient_clipping(
        self,
        optimizer: torch.optim.Optimizer,
        gradient_clip_val: float | None = None,
        gradient_clip_algorithm: str | None = None,
    ) -> None:
        """Clip the global gradient norm; called before every update.

        Raises:
            DivergedError: the loss or a gradient is not finite; the parameters are as they were.
        """
        if self.trainer.precision == "16-mixed":  # its gradient scaler skips what is not finite by itself
            self.grad_norm = float(torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.plan.grad_clip))
            return
        self.grad_norm = clip_gradients(self.model, self.plan, self.trainer.global_step)

    @property
    def learning_rate(self) -> float:
        """Learning rate of the next update."""
        return self.lr_schedulers().get_last_lr()[0]

    def training_state(self) -> dict[str, Any]:
        """Return optimizer, schedule, memory and the last gradient norm, for a checkpoint."""
        return {
            "optimizer": self.optimizers().state_dict(),
            "schedule": self.lr_schedulers().state_dict(),
            "grad_norm": self.grad_norm,
            "ema": self.ema and self.ema.state_dict(),
            **self.rank_state(),
        }

    def load_training_state(self, state: dict[str, Any]) -> None:
        """Restore what :meth:`training_state` returned; call before training starts."""
        self._optimizer_states = {"optimizer": state["optimizer"], "schedule": state["schedule"]}
        self.grad_norm, self._ema_state = state["grad_norm"], state["ema"]
        self.load_rank_state(state)

    def rank_state(self) -> dict[str, Any]:
        """Return the part of :meth:`training_state` that differs from rank to rank: the memory of its streams."""
        return {"memory": self.memory}

    def load_rank_state(self, state: dict[str, Any]) -> None:
        """Restore what :meth:`rank_state` returned on this rank, from the same or from a larger dictionary."""
        self.memory = state["memory"]

    def count_episode(self, tokens: np.ndarray) -> None:
        """Take note of an episode ``int [N + 1, L]`` that was trained on; phases that keep statistics override it."""
