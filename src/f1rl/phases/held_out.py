"""Judge a world model on episodes it never trained on, against predictors that know nothing of actions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import torch

from f1rl.losses.baselines import BaselineStatistics
from f1rl.losses.prediction import per_scale, token_statistics
from f1rl.models.f1 import F1Model
from f1rl.models.interface import WorldModelInputs
from f1rl.rollout.batch import WindowBatch
from f1rl.rollout.source import TokenizedEpisode
from f1rl.rollout.windows import write_padding, write_steps


@contextmanager
def evaluating(model: torch.nn.Module) -> Iterator[None]:
    """Switch ``model`` to evaluation without gradients, and back."""
    training = model.training
    model.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        model.train(training)


def world_model_inputs(batch: WindowBatch) -> WorldModelInputs:
    """Select from ``batch`` what the world model may see; ``target`` serves teacher forcing only."""
    return WorldModelInputs(
        image=batch.image,
        state=batch.state,
        prev_action=batch.prev_action,
        action_history=batch.action_history,
        token_history=batch.token_history,
        is_first=batch.is_first,
        target=batch.target,
    )


def whole_episodes(episodes: Sequence[TokenizedEpisode], model: F1Model) -> WindowBatch:
    """Return one batch whose rows are whole episodes: ``B = len(episodes)``, ``T`` the longest of them."""
    config, first = model.config, episodes[0].episode
    batch = WindowBatch.allocate(
        batch=len(episodes),
        window=max(map(len, episodes)),
        image_shape=first.image.shape[1:],
        n_obs=config.n_obs_img_steps,
        num_tokens=episodes[0].tokens.shape[1],
        action_dim=first.action.shape[1],
        state_dim=first.state.shape[1],
    )
    for row, episode in enumerate(episodes):
        write_steps(batch, row, 0, episode, 0, len(episode), config.obs_img_stride)
        write_padding(batch, row, len(episode))
    return batch


def evaluate_world_model(
    model: F1Model,
    episodes: Sequence[TokenizedEpisode],
    baselines: BaselineStatistics,
    camera: int,
    device: torch.device,
) -> dict[str, float]:
    """Measure ``model`` on held-out episodes.

    Args:
        model: the world model.
        episodes: ``E`` episodes that are never trained on.
        baselines: unigram counts and copy-last statistics of *training* episodes.
        camera: index of the predicted camera.
        device: where the model is.

    Returns:
        Means over tokens (cross-entropy in nats per token, accuracy as a share), also per scale and for the
        baselines ``copy_last`` and ``unigram``; PSNR in dB of generated frames against the real ones, of the copied
        last frame, and of the tokenizer's reconstruction (the ceiling). ``action_sensitivity`` is the loss with the
        actions of another episode minus the loss, ``memory_gain`` the loss with an empty memory at every step minus
        the loss; both with the standard error over episodes.
    """
    with evaluating(model):
        batch = whole_episodes(episodes, model).to(device)
        inputs, valid = world_model_inputs(batch), batch.valid
        rows = range(len(episodes))

        def losses(changed: WorldModelInputs) -> tuple[torch.Tensor, torch.Tensor]:
            """Token losses and hits ``[E, T, L]``, one episode at a time to bound memory."""
            parts = [token_statistics(_run(model, changed, row).logits, batch.target[row : row + 1]) for row in rows]
            return torch.cat([p.token_loss for p in parts]), torch.cat([p.token_hit for p in parts])

        loss, hit = losses(inputs)
        shuffled, _ = losses(replace(inputs, action_history=_other_last_action(inputs.action_history)))
        forgetful, _ = losses(replace(inputs, is_first=torch.ones_like(inputs.is_first)))

        scales = model.tokenizer.scales
        metrics = {"loss": _mean(loss, valid), "accuracy": _mean(hit, valid)}
        metrics |= {f"loss_scale_{k}": v for k, v in per_scale(loss, valid, scales).items()}
        metrics |= {f"accuracy_scale_{k}": v for k, v in per_scale(hit, valid, scales).items()}
        last, target = inputs.token_history[:, :, -1][valid], batch.target[valid]
        metrics |= baselines.evaluate(last.cpu(), target.cpu())
        metrics |= _difference("action_sensitivity", shuffled - loss, valid)
        metrics |= _difference("memory_gain", forgetful - loss, valid)
        metrics |= _image_quality(model, episodes, camera, device)
    return metrics


def world_model_loss(model: F1Model, episode: TokenizedEpisode, steps: int, device: torch.device | str) -> float:
    """Return the cross-entropy of the first ``steps`` predictions of ``episode``, in nats per token."""
    with evaluating(model):
        inputs = world_model_inputs(whole_episodes([episode], model).to(device))
        first = WorldModelInputs(**{name: value[:, :steps] for name, value in vars(inputs).items()})
        logits = model(first, model.initial_memory(1, device)).logits
        return float(token_statistics(logits, first.target).loss.mean())


def prediction_loss(model: F1Model, episodes: Sequence[TokenizedEpisode], device: torch.device) -> float:
    """Return the mean cross-entropy of the next frames of ``episodes``, nats per token."""
    with evaluating(model):
        batch = whole_episodes(episodes, model).to(device)
        inputs = world_model_inputs(batch)
        parts = [
            token_statistics(_run(model, inputs, row).logits, batch.target[row : row + 1]).token_loss
            for row in range(len(episodes))
        ]
        return _mean(torch.cat(parts), batch.valid)


def imagine(
    model: F1Model, episode: TokenizedEpisode, device: torch.device, steps: Sequence[int] | None = None
) -> np.ndarray:
    """Return the frames ``uint8 [K, 3, H, W]`` that are predicted after ``steps`` of an episode; None means all.

    A step's prediction comes from the frames up to it; entry ``t`` of all predicts frame ``t + 1``.
    """
    with evaluating(model):
        inputs = world_model_inputs(whole_episodes([episode], model).to(device))
        seen, _ = model.glance(inputs, model.initial_memory(1, device))
        rows = torch.arange(len(episode), device=device)[slice(None) if steps is None else list(steps)]
        tokens = model.generate(model.include_past(seen[rows]), inputs.action_history[0, rows])
        return model.tokenizer.decode(tokens).cpu().numpy()


def _run(model: F1Model, inputs: WorldModelInputs, row: int):  # noqa: ANN202
    one = inputs[torch.tensor([row], device=inputs.is_first.device)]
    return model(one, model.initial_memory(1, one.state.device))


def _other_last_action(action_history: torch.Tensor) -> torch.Tensor:
    """Give each episode the next episode's ``a_t``; what happened before stays its own."""
    changed = action_history.clone()
    changed[:, :, -1] = action_history[:, :, -1].roll(1, dims=0)
    return changed


def _mean(value: torch.Tensor, valid: torch.Tensor) -> float:
    return float(value.mean(-1)[valid].mean())


def _difference(name: str, value: torch.Tensor, valid: torch.Tensor) -> dict[str, float]:
    per_episode = (value.mean(-1) * valid).sum(1) / valid.sum(1)
    error = per_episode.std() / len(per_episode) ** 0.5 if len(per_episode) > 1 else torch.tensor(float("nan"))
    return {name: float(per_episode.mean()), f"{name}_stderr": float(error)}


def _image_quality(
    model: F1Model, episodes: Sequence[TokenizedEpisode], camera: int, device: torch.device
) -> dict[str, float]:
    errors: dict[str, list[float]] = {"psnr": [], "psnr_copy_last": [], "psnr_tokenizer": []}
    for episode in episodes:
        frames = episode.episode.image[:, camera]
        truth = frames[1:]
        tokens = torch.from_numpy(episode.tokens[1:].astype(np.int64)).to(device)
        for name, guess in (
            ("psnr", imagine(model, episode, device)),
            ("psnr_copy_last", frames[:-1]),
            ("psnr_tokenizer", model.tokenizer.decode(tokens).cpu().numpy()),
        ):
            errors[name].append(float(np.mean((guess.astype(np.float32) - truth.astype(np.float32)) ** 2)))
    return {name: 10 * float(np.log10(255.0**2 / max(np.mean(value), 1e-6))) for name, value in errors.items()}
