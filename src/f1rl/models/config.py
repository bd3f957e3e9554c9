"""The sizes of the model as frozen dataclasses; the numbers live in ``conf/model/*.yaml``."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
from types import UnionType
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

T = TypeVar("T")


@dataclass(frozen=True)
class TokenizerConfig:
    """Multi-scale residual VQ autoencoder of one camera's picture."""

    image_size: int
    """Height and width in pixels that the encoder sees; other sizes are resized to it."""
    patch: int
    """Pixel-unshuffle factor before the encoder; with 1 the encoder sees single pixels."""
    widths: tuple[int, ...]
    """Channels of each encoder level; every level but the last halves the resolution."""
    res_blocks: int
    """Residual blocks of each encoder level."""
    norm_groups: int
    """Groups of the group norms; divides every width."""
    attention: bool
    """Self-attention at the lowest resolution."""
    linear_path: bool
    """Adds a linear map from patches to latents and back, started at the principal components of the frames."""
    scales: tuple[int, ...]
    """Side lengths of the token maps, coarse to fine; the last one is the latent grid."""
    codebook_size: int
    """Codes shared by all scales."""
    codebook_dim: int
    """Width of a code and channels of the latent grid."""
    phi_count: int
    """Convolutions that smooth up-sampled codes, shared by neighbouring scales."""
    phi_ratio: float
    """Weight of the smoothing convolution against the identity, 0 to 1."""
    commitment: float
    """Weight of the loss that pulls the encoder to its codes."""
    edge_loss: float
    """Weight of the loss on differences of neighbouring pixels, which keeps edges."""

    @property
    def downsample(self) -> int:
        """Pixels per latent cell along one side."""
        return self.patch * 2 ** (len(self.widths) - 1)

    @property
    def num_tokens(self) -> int:
        """Tokens ``L`` of one picture."""
        return sum(side * side for side in self.scales)


@dataclass(frozen=True)
class PromptConfig:
    """Text that the understanding expert reads with every picture."""

    text: str
    """The task."""
    tokenizer: str | None
    """Folder or hub name of a pretrained tokenizer; null spells the text in bytes."""


@dataclass(frozen=True)
class AttentionConfig:
    """What all experts share, because their queries, keys and values meet in one attention."""

    layers: int
    """Layers of every expert."""
    heads: int
    """Query heads."""
    kv_heads: int
    """Key and value heads; divides the query heads."""
    head_dim: int
    """Width of a head; even."""
    rope_theta: float
    """Base of the rotary position frequencies."""
    init_std: float
    """Standard deviation of the experts' initial weights."""


@dataclass(frozen=True)
class VisionConfig:
    """SigLIP vision tower."""

    image_size: int
    """Height and width in pixels that the tower sees; other sizes are resized to it."""
    patch_size: int
    """Pixels per image token along one side."""
    width: int
    """Width of the residual stream."""
    mlp_width: int
    """Inner width of the feed-forward parts."""
    layers: int
    """Layers."""
    heads: int
    """Attention heads; divides the width."""


@dataclass(frozen=True)
class UndConfig:
    """Understanding expert: a PaliGemma without its language-model head."""

    width: int
    """Width of the residual stream."""
    mlp_width: int
    """Inner width of the feed-forward parts."""
    vocab_size: int
    """Text tokens; spelling in bytes needs 259."""
    vision: VisionConfig
    """SigLIP vision tower."""


@dataclass(frozen=True)
class GenConfig:
    """Generation expert: predicts the tokens of the next picture."""

    width: int
    """Width of the residual stream."""
    mlp_width: int
    """Inner width of the feed-forward parts."""
    history_side: int | None
    """Past frames as latents pooled to this side; null arranges all frames as in the published weights."""
    latent_prior: bool
    """Predict the change of the newest frame's latent, beside the published head; copying is then the start."""


@dataclass(frozen=True)
class ActConfig:
    """Action expert: chooses a chunk of actions."""

    width: int
    """Width of the residual stream."""
    mlp_width: int
    """Inner width of the feed-forward parts."""
    chunk: int
    """Actions that one decision plans."""
    denoising_steps: int
    """Steps from noise to a chunk of a flow-matching policy."""
    published_heads: bool
    """Flow policies with the published projections of state, padded actions and time; false: smaller ones."""


@dataclass(frozen=True)
class MemoryConfig:
    """Recurrent memory over the steps of an episode."""

    enabled: bool
    """False clears the memory before every step: the same network without a past."""
    hidden: int
    """Width of the memory."""
    num_layers: int
    """Layers of the GRU."""


@dataclass(frozen=True)
class WeightsConfig:
    """Published or exported weights to start from."""

    source: str | None
    """A file, a folder, or owner/name on the hub; null starts from random numbers."""
    layout: Literal["f1rl", "f1", "pi0", "pi0_base"]
    """How its tensors are named: f1rl (written by python -m f1rl export), f1, pi0 or pi0_base."""
    tokenizer: str | None
    """VAR's VQ-VAE: a file, or owner/name/file on the hub; null takes it from the source, or trains one."""


@dataclass(frozen=True)
class LoraConfig:
    """Low-rank adapters on loaded weights, which then stay as they are."""

    r: int
    """Rank of the adapters; 0 trains all weights themselves."""
    lora_alpha: int
    """Scale of the adapters, as a multiple of their rank."""
    lora_dropout: float
    """Share of an adapter's inputs that is dropped at random in training."""
    target_modules: tuple[str, ...]
    """Last names of the linear layers that get an adapter."""
    parts: tuple[Literal["vlm", "gen"], ...]
    """Experts that these are looked for in: vlm (with its vision tower) and gen."""
    modules_to_save: tuple[str, ...]
    """Parts of the world model that are trained in full beside the adapters."""
    base_dtype: Literal["float32", "bfloat16"]
    """Precision in which the frozen experts are kept, and then also compute."""
    load_in_4bit: bool
    """Keep the linear layers of the frozen experts in 4 bits (QLoRA); needs bitsandbytes."""


@dataclass(frozen=True)
class LrRatiosConfig:
    """Learning rates of the experts, as shares of phase.learning_rate."""

    vision: float
    """Of the vision tower and its projector; 0.5 in F1's own training."""
    language: float
    """Of the understanding expert's language model."""
    gen: float
    """Of the generation expert's layers."""


@dataclass(frozen=True)
class ModelConfig:
    """Everything that decides the architecture."""

    image_size: int
    """Height and width in pixels of the pictures handed to the model."""
    n_obs_img_steps: int
    """Past pictures and actions that the model sees at once, the current one included."""
    obs_img_stride: int
    """Control steps between two of them."""
    n_pred_img_steps: int
    """How many steps ahead the predicted picture lies; 1 is supported."""
    state_dim: int
    """Padded width of state vectors."""
    action_dim: int
    """Padded width of action vectors."""
    und_sees_history: bool
    """Whether the understanding expert attends to the history tokens, as in the published weights."""
    tokenizer: TokenizerConfig
    """Multi-scale residual VQ autoencoder of one camera's picture."""
    prompt: PromptConfig
    """Text that the understanding expert reads with every picture."""
    attention: AttentionConfig
    """What all experts share, because their queries, keys and values meet in one attention."""
    und: UndConfig
    """Understanding expert: a PaliGemma without its language-model head."""
    gen: GenConfig
    """Generation expert: predicts the tokens of the next picture."""
    act: ActConfig
    """Action expert: chooses a chunk of actions."""
    memory: MemoryConfig
    """Recurrent memory over the steps of an episode."""
    weights: WeightsConfig
    """Published or exported weights to start from."""
    lora: LoraConfig
    """Low-rank adapters on loaded weights, which then stay as they are."""
    lr_ratios: LrRatiosConfig
    """Learning rates of the experts, as shares of phase.learning_rate."""
    activation_checkpointing: bool
    """Keep only the inputs of each layer and run it again for its gradient: slower, with a fraction of the memory."""
    prefix_cache: int
    """Pictures whose prefixes are kept while the understanding expert is frozen and sees no history; 0 keeps none."""
    compile: bool
    """Compile the world model's layers with torch.compile; the first steps then take a minute or more."""
    ema: float | None
    """Decay per optimizer step of a running mean of the trained weights, which is then evaluated; null keeps none."""

    def __post_init__(self) -> None:
        """Check the rules between keys.

        Raises:
            ValueError: naming every key that breaks a rule.
        """
        problems = [message for broken, message in _rules(self) if broken]
        if problems:
            raise ValueError("the model configuration is inconsistent:\n  " + "\n  ".join(problems))

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> ModelConfig:
        """Build the configuration from plain nested dictionaries, such as a parsed ``conf/model/tiny.yaml``.

        Raises:
            ValueError: for an unknown or missing key, a wrong type, or keys that contradict each other.
        """
        return _build(cls, values, "model")


_Rules = list[tuple[bool, str]]
"""Whether a rule is broken, and what to say if it is."""


def _rules(config: ModelConfig) -> _Rules:
    """Return all rules between keys; those after the counts only make sense where every count is 1 or more."""
    counts = _count_rules(config)
    if any(broken for broken, _ in counts):
        return counts
    parts = (_tokenizer_rules, _expert_rules, _weight_rules, _lora_rules, _training_rules)
    return [rule for part in parts for rule in part(config)]


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
        (vq.codebook_size < 2, f"model.tokenizer.codebook_size is {vq.codebook_size}, it must be at least 2"),
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


def _build(cls: type[T], values: object, path: str) -> T:
    if not isinstance(values, Mapping):
        raise ValueError(f"{path} is {values!r}, it must be a mapping with the keys {_keys(cls)}")
    names = [field.name for field in fields(cls)]  # type: ignore[arg-type]
    for key in values:
        if key not in names:
            close = difflib.get_close_matches(str(key), names, n=1)
            hint = f"; did you mean {close[0]}?" if close else f"; allowed are {_keys(cls)}"
            raise ValueError(f"{path} has no key {key!r}{hint}")
    missing = [f"{path}.{name}" for name in names if name not in values]
    if missing:
        raise ValueError(f"missing in the model configuration: {', '.join(missing)}")
    types = get_type_hints(cls)
    return cls(**{name: _convert(types[name], values[name], f"{path}.{name}") for name in names})


def _convert(kind: Any, value: Any, path: str) -> Any:
    """Return ``value`` as ``kind``; only lists become tuples and integers floats, nothing else is bent to fit."""
    if is_dataclass(kind):
        return _build(kind, value, path)  # type: ignore[arg-type]
    if get_origin(kind) is UnionType:
        inner = next(arg for arg in get_args(kind) if arg is not type(None))
        return None if value is None else _convert(inner, value, path)
    if get_origin(kind) is Literal:
        if value not in get_args(kind):
            raise ValueError(f"{path} is {value!r}, it must be one of {', '.join(get_args(kind))}")
        return value
    if get_origin(kind) is tuple:
        if isinstance(value, str) or not hasattr(value, "__iter__"):
            raise ValueError(f"{path} is {value!r}, it must be a list")
        return tuple(_convert(get_args(kind)[0], item, f"{path}[{i}]") for i, item in enumerate(value))
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise ValueError(f"{path} is {value!r}, it must be of type {kind.__name__}")
    return value


def _keys(cls: type) -> str:
    return ", ".join(field.name for field in fields(cls))
