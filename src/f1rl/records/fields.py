"""Names of what a run with an explorer records beside what every run does: who writes and who shows them agree here."""

from __future__ import annotations

EXPLORER = (
    # of the update that followed the episode
    "loss",  # all terms of the policy's loss, weighted; avg_loss is the world model's
    "policy_loss",
    "value_loss",  # PPO
    "entropy",  # nats per real action entry
    "approx_kl",  # nats per decision, from the policy that collected the rollout
    "kl",  # from the reference policy, where there is one
    "clip_fraction",
    "explained_variance",
    "policy_updates",
    "decisions",
    # what the episode paid, term by term: sums over its steps, before scales and weights
    "reward_memory",
    "reward_uncertainty",
    "reward_success",
    # what the world model made of it: means over its steps
    "memory_distance",
    "wm_entropy",  # nats per token
    # what it did to the world
    "task_return",
    "object_displacement",
    "contact_rate",
    "voxels",
)
"""Fields of a line of ``episode_metrics.jsonl`` where an explorer learns."""

ADVERSARY = ("reward_surprise", "wm_loss")
"""Further fields where the world model learns as well; ``wm_loss`` is that of its updates, nats per token."""

EXPLORER_HELD_OUT = (
    "val_reward", "val_loss", "val_accuracy", "val_success", "val_object_displacement", "val_contact_rate",
    "val_voxels", "val_coverage",
)  # fmt: skip
"""Fields of an entry of the ``val_history``; ``val_random_policy_...`` is what chance reaches from the same seeds.
All are means over episodes but ``val_coverage``, the voxels of all of them together."""

ADVERSARY_HELD_OUT = ("val_explorer_loss",)
"""The world model's loss on what the explorer found when the phase began; ``val_loss`` is that on what it finds now."""


def beside(name: str) -> str:
    """Return the field of what chance reaches beside ``val_NAME``."""
    return f"val_random_policy_{name.removeprefix('val_')}"
