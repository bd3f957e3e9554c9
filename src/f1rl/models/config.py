"""The sizes of the model as frozen dataclasses; the numbers live in ``conf/model/*.yaml``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from f1rl.models.consistency import broken_rules
from f1rl.typed import from_tree


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
        if problems := broken_rules(self):
            raise ValueError("the model configuration is inconsistent:\n  " + "\n  ".join(problems))

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> ModelConfig:
        """Build the configuration from plain nested dictionaries, such as a parsed ``conf/model/tiny.yaml``.

        Raises:
            ValueError: naming every unknown or missing key, wrong type, or contradiction between keys.
        """
        problems: list[str] = []
        built = from_tree(_Named, {"model": values}, problems)
        if built is None:
            raise ValueError("the model configuration is wrong:\n  " + "\n  ".join(problems))
        return built.model


@dataclass(frozen=True)
class _Named:
    """The model's section under its name in the whole configuration, which problems are told by."""

    model: ModelConfig
