"""Models that begin with weights from files."""

from __future__ import annotations

import logging

from torch import nn

from f1rl.models.action_expert import ActionExpert
from f1rl.models.config import LoraConfig, ModelConfig, WeightsConfig
from f1rl.models.empty import empty_parameters
from f1rl.models.f1 import F1Model
from f1rl.models.lora import add_adapters
from f1rl.models.tokenizer import FrameTokenizer
from f1rl.models.weights.files import find_files
from f1rl.models.weights.layouts import LAYOUTS, VAR
from f1rl.models.weights.loading import LoadSummary, load_weights

log = logging.getLogger(__name__)


def holds_tokenizer(weights: WeightsConfig) -> bool:
    """Whether the frame tokenizer comes from a file, so that none is trained."""
    return weights.tokenizer is not None or (
        weights.source is not None and "tokenizer" in LAYOUTS[weights.layout].parts
    )


def holds_world_model(weights: WeightsConfig) -> bool:
    """Whether the generation expert comes from a file, and with it the ability to predict frames."""
    return weights.source is not None and "gen" in LAYOUTS[weights.layout].parts


def holds_action_expert(weights: WeightsConfig) -> bool:
    """Whether F1's action expert comes from a file; what ``python -m f1rl export`` writes of a teacher has none."""
    return weights.source is not None and weights.layout != "f1rl"


def empty_tokenizer(config: ModelConfig) -> FrameTokenizer:
    """Return a tokenizer without memory behind its parameters."""
    with empty_parameters():
        return FrameTokenizer(config.tokenizer)


def world_model_from_files(
    config: ModelConfig, tokenizer: FrameTokenizer | None, *, memory_backprop: bool
) -> tuple[F1Model, list[LoadSummary]]:
    """Build the world model, fill it with ``config.weights`` and give it the adapters of ``config.lora``.

    What the files do not hold is initialised as ever.

    Args:
        config: sizes and sources; ``weights.source`` or ``weights.tokenizer`` is given.
        tokenizer: trained one, where no file holds any.
        memory_backprop: see :class:`F1Model`.

    Raises:
        CheckpointError: a file is missing, damaged, or does not fit.
        ConfigError: the adapters name something that the model does not have.
    """
    weights, summaries, placed = config.weights, [], set()
    layout = LAYOUTS[weights.layout]
    if tokenizer is None:
        tokenizer = empty_tokenizer(config)
    given = layout.parts if weights.source else ()
    model = F1Model(config, tokenizer, memory_backprop=memory_backprop, given=given)
    if weights.tokenizer is not None:
        summaries.append(load_weights(tokenizer, find_files(weights.tokenizer), VAR))
        placed |= {f"tokenizer.{name}" for name in tokenizer.state_dict()}
        tokenizer.quantizer.take_codebook()
    if weights.source is not None:
        summaries.append(load_weights(model, find_files(weights.source), layout, half=half_names(config.lora)))
        placed |= summaries[-1].placed
        if "tokenizer" in layout.parts and layout.name != "f1rl":
            placed |= {f"tokenizer.{name}" for name in tokenizer.state_dict()}
            tokenizer.quantizer.take_codebook()
    if config.lora.r > 0:
        add_adapters(model, config.lora, placed)
    for summary in summaries:
        log.info("%s", summary)
    return model, summaries


def half_names(lora: LoraConfig) -> tuple[str, ...]:
    """Return the beginnings of the names of parameters that are kept in bfloat16: those of frozen experts."""
    if lora.r == 0 or lora.base_dtype == "float32":
        return ()
    return tuple(f"{part}." for part in ("vlm", "gen") if part not in lora.modules_to_save)


def fill_action_expert(expert: ActionExpert, weights: WeightsConfig) -> LoadSummary:
    """Fill F1's action expert with ``weights``.

    Raises:
        CheckpointError: a file is missing, damaged, or does not fit.
    """
    root = nn.ModuleDict({"act": expert})
    summary = load_weights(root, find_files(weights.source), LAYOUTS[weights.layout])
    log.info("%s", summary)
    return summary
