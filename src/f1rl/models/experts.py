"""Builds the experts from ``transformers`` parts, without the heads that nothing here would train."""

from __future__ import annotations

import torch
from torch import Tensor
from transformers import (
    AutoTokenizer,
    GemmaConfig,
    GemmaModel,
    PaliGemmaConfig,
    PaliGemmaModel,
    PreTrainedTokenizerBase,
    SiglipVisionConfig,
)

from f1rl.errors import ConfigError
from f1rl.models.config import AttentionConfig, ModelConfig, PromptConfig

_BYTE_OFFSET = 3
"""Byte ``b`` is token ``b + 3``; before it come Gemma's padding, end and begin tokens."""
_BEGIN = 2


def build_vlm(config: ModelConfig) -> PaliGemmaModel:
    """Build the understanding expert with its vision tower."""
    vision, und = config.und.vision, config.und
    vision_config = SiglipVisionConfig(
        hidden_size=vision.width,
        intermediate_size=vision.mlp_width,
        num_hidden_layers=vision.layers,
        num_attention_heads=vision.heads,
        image_size=vision.image_size,
        patch_size=vision.patch_size,
        vision_use_head=False,
    )
    return PaliGemmaModel(
        PaliGemmaConfig(
            vision_config=vision_config,
            text_config=_gemma_config(config.attention, und.width, und.mlp_width, und.vocab_size),
            projection_dim=und.width,
            hidden_size=und.width,
            vocab_size=und.vocab_size,
            image_token_index=und.vocab_size - 1,
        )
    )


def build_expert(attention: AttentionConfig, width: int, mlp_width: int) -> GemmaModel:
    """Build a Gemma stack that is fed embeddings: it has neither a vocabulary nor a head."""
    expert = GemmaModel(_gemma_config(attention, width, mlp_width, vocab_size=1))
    expert.embed_tokens = None
    return expert


def prompt_tokens(prompt: PromptConfig) -> Tensor:
    """Return the token ids ``int64 [P]`` of the prompt, with a begin token and F1's closing line break.

    Raises:
        ConfigError: the pretrained tokenizer is neither on this disk nor given by the hub.
    """
    text = prompt.text + "\n"
    if prompt.tokenizer is not None:
        return torch.tensor(_pretrained_tokenizer(prompt.tokenizer)(text)["input_ids"])
    return torch.tensor([_BEGIN] + [byte + _BYTE_OFFSET for byte in text.encode()])


def _pretrained_tokenizer(name: str) -> PreTrainedTokenizerBase:
    try:
        return AutoTokenizer.from_pretrained(name)
    except (OSError, ValueError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise ConfigError(
            f"model.prompt.tokenizer={name} cannot be had: {reason} Download its folder and name that (the hub "
            "gives PaliGemma's to those who accept its terms), or spell the prompt in bytes with null"
        ) from error


def _gemma_config(attention: AttentionConfig, width: int, mlp_width: int, vocab_size: int) -> GemmaConfig:
    return GemmaConfig(
        vocab_size=vocab_size,
        hidden_size=width,
        intermediate_size=mlp_width,
        num_hidden_layers=attention.layers,
        num_attention_heads=attention.heads,
        num_key_value_heads=attention.kv_heads,
        head_dim=attention.head_dim,
        initializer_range=attention.init_std,
        rope_parameters={"rope_type": "default", "rope_theta": attention.rope_theta},
        pad_token_id=0,
        bos_token_id=None,  # of no use without generation, and outside a vocabulary of one
        eos_token_id=None,
    )
