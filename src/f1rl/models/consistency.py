"""The rules between the keys of the model's configuration."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from f1rl.models.config import ModelConfig

_Rules = list[tuple[bool, str]]
"""Whether a rule is broken, and what to say if it is."""


def broken_rules(config: ModelConfig) -> list[str]:
    """Return one sentence for each rule that ``config`` breaks.

    The rules after the counts only make sense where every count is 1 or more.
    """
    counts = _broken(_count_rules(config))
    parts = (_tokenizer_rules, _expert_rules, _weight_rules, _lora_rules, _training_rules)
    return counts or [message for part in parts for message in _broken(part(config))]


def _broken(rules: _Rules) -> list[str]:
    return [message for is_broken, message in rules if is_broken]


def _count_rules(config: ModelConfig) -> _Rules:
    vq, attention, vision = config.tokenizer, config.attention, config.und.vision
    numbers = [
        ("model.image_size", config.image_size),
        ("model.n_obs_img_steps", config.n_obs_img_steps),
        ("model.obs_img_stride", config.obs_img_stride),
        ("model.state_dim", config.state_dim),
        ("model.action_dim", config.action_dim),
        ("model.tokenizer.patch", vq.patch),
        ("model.tokenizer.res_blocks", vq.res_blocks),
        ("model.tokenizer.norm_groups", vq.norm_groups),
        ("model.tokenizer.codebook_dim", vq.codebook_dim),
        ("model.tokenizer.phi_count", vq.phi_count),
        ("model.attention.layers", attention.layers),
        ("model.attention.kv_heads", attention.kv_heads),
        ("model.und.vision.patch_size", vision.patch_size),
        ("model.und.vision.heads", vision.heads),
        ("model.act.chunk", config.act.chunk),
        ("model.act.denoising_steps", config.act.denoising_steps),
        ("model.memory.hidden", config.memory.hidden),
        ("model.memory.num_layers", config.memory.num_layers),
    ]
    return [(value < 1, f"{key} is {value}, it must be at least 1") for key, value in numbers]


def _tokenizer_rules(config: ModelConfig) -> _Rules:
    vq = config.tokenizer
    grid, rest = divmod(vq.image_size, vq.downsample)
    return [
        (
            config.n_pred_img_steps != 1,
            f"model.n_pred_img_steps is {config.n_pred_img_steps}, only 1 is supported, the frame that an action leads "
            "to; for one that lies further ahead let an action last longer (a smaller env.control_freq)",
        ),
        (
            rest != 0,
            f"model.tokenizer.image_size is {vq.image_size}, not divisible by the downsampling {vq.downsample} that "
            "model.tokenizer.patch and the number of model.tokenizer.widths give",
        ),
        (
            not vq.scales or vq.scales[0] != 1 or list(vq.scales) != sorted(set(vq.scales)),
            f"model.tokenizer.scales is {list(vq.scales)}, it must rise from 1",
        ),
        (
            rest == 0 and vq.scales[-1:] != (grid,),
            f"model.tokenizer.scales ends with {vq.scales[-1:]}, the latent grid of "
            f"model.tokenizer.image_size {vq.image_size} / downsampling {vq.downsample} is {grid}",
        ),
        (
            any(width % vq.norm_groups for width in vq.widths),
            f"model.tokenizer.norm_groups is {vq.norm_groups}, it must divide model.tokenizer.widths {list(vq.widths)}",
        ),
        (
            not 2 <= vq.codebook_size <= 2**15,
            f"model.tokenizer.codebook_size is {vq.codebook_size}, it must lie in [2, {2**15}]: tokens are int16",
        ),
        (
            not 0.0 <= vq.phi_ratio <= 1.0,
            f"model.tokenizer.phi_ratio is {vq.phi_ratio}, it must lie in [0, 1]",
        ),
    ]


def _expert_rules(config: ModelConfig) -> _Rules:
    attention, vision = config.attention, config.und.vision
    grid = config.tokenizer.image_size // config.tokenizer.downsample
    return [
        (
            attention.heads % attention.kv_heads != 0,
            f"model.attention.heads is {attention.heads}, not divisible by model.attention.kv_heads "
            f"{attention.kv_heads}",
        ),
        (
            attention.head_dim % 2 != 0,
            f"model.attention.head_dim is {attention.head_dim}, rotary positions need it even",
        ),
        (
            vision.image_size % vision.patch_size != 0,
            f"model.und.vision.image_size is {vision.image_size}, not divisible by model.und.vision.patch_size "
            f"{vision.patch_size}",
        ),
        (
            vision.width % vision.heads != 0,
            f"model.und.vision.width is {vision.width}, not divisible by model.und.vision.heads {vision.heads}",
        ),
        (
            config.prompt.tokenizer is None and config.und.vocab_size < 256 + 3,
            f"model.und.vocab_size is {config.und.vocab_size}, spelling the prompt in bytes needs at least 259",
        ),
        (
            config.gen.history_side is not None and not 1 <= config.gen.history_side <= grid,
            f"model.gen.history_side is {config.gen.history_side}, it must lie between 1 and the latent grid {grid}",
        ),
        (config.prompt.text == "", "model.prompt.text is empty, the understanding expert needs at least one token"),
    ]


def _weight_rules(config: ModelConfig) -> _Rules:
    return [
        (
            config.weights.source is not None
            and config.weights.tokenizer is not None
            and config.weights.layout in ("f1", "f1rl"),
            f"model.weights.tokenizer is {config.weights.tokenizer}, but model.weights.source brings a tokenizer with "
            f"model.weights.layout={config.weights.layout}; set one of them to null",
        ),
        (
            config.weights.source is not None
            and config.weights.layout == "f1"
            and (config.gen.history_side is not None or config.gen.latent_prior),
            "model.weights.layout=f1 needs model.gen.history_side=null and model.gen.latent_prior=false: the published "
            "weights know neither",
        ),
    ]


def _training_rules(config: ModelConfig) -> _Rules:
    return [
        (config.prefix_cache < 0, f"model.prefix_cache is {config.prefix_cache}, it must be 0 or more"),
        (
            config.prefix_cache > 0 and config.und_sees_history,
            f"model.prefix_cache is {config.prefix_cache}, but with model.und_sees_history=true a prefix depends on "
            "more than its pictures; set one of them to 0 or false",
        ),
        (
            config.ema is not None and not 0.0 < config.ema < 1.0,
            f"model.ema is {config.ema}, it must lie between 0 and 1, or be null",
        ),
        *(
            (value < 0, f"model.lr_ratios.{name} is {value}, it must be 0 or more")
            for name, value in vars(config.lr_ratios).items()
        ),
    ]


def _lora_rules(config: ModelConfig) -> _Rules:
    lora = config.lora
    if lora.r == 0:
        return []
    return [
        (lora.r < 0, f"model.lora.r is {lora.r}, it must be 0 or more"),
        (lora.lora_alpha < 1, f"model.lora.lora_alpha is {lora.lora_alpha}, it must be at least 1"),
        (
            not 0.0 <= lora.lora_dropout < 1.0,
            f"model.lora.lora_dropout is {lora.lora_dropout}, it must lie in [0, 1)",
        ),
        (not lora.target_modules, "model.lora.target_modules is empty; name layers, e.g. [q_proj, v_proj]"),
        (not lora.parts, "model.lora.parts is empty; name experts, e.g. [gen]"),
        (
            config.weights.source is None,
            f"model.lora.r is {lora.r}, but model.weights.source is null: adapters need weights that they adapt; "
            "name some, or train all weights with model.lora.r=0",
        ),
    ]
