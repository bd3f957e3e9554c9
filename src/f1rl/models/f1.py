"""The world model: what the wrist camera will see next, given what was seen and done."""

from __future__ import annotations

from collections.abc import Callable, Collection
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn
from transformers import GemmaModel, PaliGemmaModel

from f1rl.models.config import ModelConfig
from f1rl.models.empty import empty_parameters
from f1rl.models.experts import build_expert, build_vlm, prompt_tokens
from f1rl.models.frame_tokens import FrameTokens
from f1rl.models.interface import WorldModelInputs, WorldModelOutput
from f1rl.models.joint_attention import Cache, joint_attention
from f1rl.models.memory import Memory
from f1rl.models.observed import Observed, PastFrames
from f1rl.models.prefix_cache import PrefixCache
from f1rl.models.tokenizer import FrameTokenizer, normalise_images


class F1Model(nn.Module):
    """Understanding and generation expert of F1-VLA with a recurrent memory.

    A window of ``B`` streams and ``T`` steps runs in three parts. The *prefix* of all ``B * T`` steps at once: pictures
    and prompt, past frames. The *memory*, step by step. The *suffix* of all steps at once: memory, state, actions and
    the next frame's scales, coarse to fine, where a scale sees the scales before it.

    Args:
        config: sizes.
        tokenizer: trained; it is frozen, and stays in evaluation mode.
        memory_backprop: whether gradients flow through the memory from a step to the steps before it.
        given: parts (``vlm``, ``gen``, ``frames``) that a file will fill; they are made without memory.
    """

    vlm: PaliGemmaModel
    gen: GemmaModel
    frames: FrameTokens
    suffix_block: Tensor
    suffix_place: Tensor
    prompt: Tensor

    def __init__(
        self, config: ModelConfig, tokenizer: FrameTokenizer, *, memory_backprop: bool, given: Collection[str] = ()
    ) -> None:
        super().__init__()
        self.config = config
        self.memory_backprop = memory_backprop
        self.tokenizer = tokenizer.requires_grad_(False).eval()
        parts: dict[str, Callable[[], nn.Module]] = {
            "vlm": lambda: build_vlm(config),
            "gen": lambda: build_expert(config.attention, config.gen.width, config.gen.mlp_width),
            "frames": lambda: FrameTokens(config),
        }
        for name, build in parts.items():
            with empty_parameters() if name in given else nullcontext():
                self.add_module(name, build())
        if config.activation_checkpointing:
            self.vlm.vision_tower.activation_checkpointing_enable({"use_reentrant": False})
        for expert in (self.vlm.language_model, self.gen):  # joint_attention reads both
            expert.gradient_checkpointing, expert.compiled = config.activation_checkpointing, config.compile
        self._prefixes = PrefixCache(config.prefix_cache) if config.prefix_cache else None
        self.memory = Memory(config.memory, config.und.width + config.state_dim + config.action_dim)
        width = config.gen.width
        self.memory_token = nn.Linear(config.memory.hidden, width)
        nn.init.normal_(self.memory_token.weight, std=0.02)  # small, but with a gradient from the first step
        self.state_token = nn.Linear(config.state_dim, width)
        self.action_token = nn.Linear(config.action_dim, width)
        self.register_buffer("prompt", prompt_tokens(config.prompt), persistent=False)
        context = torch.full((2 + config.n_obs_img_steps,), -1)
        self.register_buffer("suffix_block", torch.cat([context, self.frames.scale_of]), persistent=False)
        self.register_buffer("suffix_place", self._suffix_places(len(context)), persistent=False)

    def _suffix_places(self, context: int) -> Tensor:
        """Return the places ``int64 [context + L]`` of the suffix's tokens after the prefix.

        Published weights know no memory, state and actions here: the scales keep the places they were trained at, right
        after the past frames, and the added tokens take those behind them.
        """
        length = self.config.tokenizer.num_tokens
        places = torch.arange(context + length)
        return places.roll(context) if self.config.gen.history_side is None else places

    def train(self, mode: bool = True) -> F1Model:
        """Set the mode of all but the tokenizer, whose codebook would move in training mode."""
        super().train(mode)
        self.tokenizer.eval()
        return self

    def initial_memory(self, batch_size: int, device: torch.device | str) -> Tensor:
        """Return the memory before a first step: zeros ``float32 [layers, B, hidden]``."""
        return self.memory.initial(batch_size, device)

    def forward(self, inputs: WorldModelInputs, memory: Tensor) -> WorldModelOutput:
        """Predict the next frames, each scale given the true coarser ones.

        Args:
            inputs: a window with ``target``.
            memory: ``float32 [layers, B, hidden]`` before the window.

        Raises:
            ValueError: if ``target`` is missing or ``memory`` does not fit.
        """
        if inputs.target is None:
            raise ValueError("inputs.target is None; training needs the tokens of the next frames")
        seen, memory = self.observe(inputs, memory)
        logits = self.next_frame(seen, inputs.action_history.flatten(0, 1), inputs.target.flatten(0, 1))
        return WorldModelOutput(logits.unflatten(0, inputs.is_first.shape), memory)

    def next_frame(
        self,
        seen: Observed,
        action_history: Tensor,
        target: Tensor,
        *,
        dropout: float = 0.0,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Predict the frames after ``N`` steps, each scale given the true coarser ones.

        Args:
            seen: of those steps, with the past frames.
            action_history: ``float32 [N, n_obs, A]``; the last entry is the action whose result is predicted.
            target: ``int64 [N, L]``, tokens of the next frames.
            dropout: share of the tokens' entries that is dropped at random, also outside of training: predictions with
                different masks differ where the model knows little (Gal & Ghahramani 2016).
            generator: of the masks.

        Returns:
            Logits ``float32 [N, L, V]``.
        """
        context = self._context(seen, action_history)
        tokens, left = self.frames.next_frame(self.tokenizer.scale_inputs(target), seen.past, begin=0)
        suffix = torch.cat([context, tokens + context[:, :1]], dim=1)
        if dropout > 0:
            kept = torch.rand(suffix.shape, generator=generator, device=suffix.device) >= dropout
            suffix = suffix * kept / (1 - dropout)
        hidden, _ = self._suffix(suffix, seen.cache, begin=0)
        return self._logits(hidden[:, context.shape[1] :], left)

    @torch.no_grad()
    def predict(self, inputs: WorldModelInputs, memory: Tensor) -> tuple[Tensor, Tensor]:
        """Generate the frames after all steps of a window; see :meth:`generate`.

        Returns:
            Tokens ``int64 [B, T, L]`` and the memory ``float32 [layers, B, hidden]`` after the window.

        Raises:
            ValueError: if ``memory`` does not fit.
        """
        seen, memory = self.observe(inputs, memory)
        tokens = self.generate(seen, inputs.action_history.flatten(0, 1))
        return tokens.unflatten(0, inputs.is_first.shape), memory

    @torch.no_grad()
    def generate(self, seen: Observed, action_history: Tensor) -> Tensor:
        """Generate frames greedily, scale by scale, each given the coarser ones that were generated.

        Args:
            seen: of ``N`` steps, with the past frames.
            action_history: ``float32 [N, n_obs, A]``; the last entry is the action whose result is generated.

        Returns:
            Tokens ``int64 [N, L]``.
        """
        context = self._context(seen, action_history)
        count, cache, begin = len(context), seen.cache, 0
        tokens = torch.empty(count, 0, dtype=torch.long, device=context.device)
        coarser = context.new_zeros(count, 0, self.config.tokenizer.codebook_dim)
        for side in self.config.tokenizer.scales:
            if side > 1:
                coarser = self.tokenizer.next_scale_input(tokens)
            step, left = self.frames.next_frame(coarser, seen.past, begin=tokens.shape[1])
            step = step + context[:, :1]
            if side == 1:
                step = torch.cat([context, step], dim=1)
            hidden, cache = self._suffix(step, cache, begin)
            begin += step.shape[1]
            best = self._logits(hidden[:, -side * side :], left).argmax(-1)
            tokens = torch.cat([tokens, best], dim=1)
        return tokens

    def observe(self, inputs: WorldModelInputs, memory: Tensor) -> tuple[Observed, Tensor]:
        """Take in a window; what was done in its last step need not be known yet.

        Args:
            inputs: a window; ``action_history`` and ``target`` are not read.
            memory: ``float32 [layers, B, hidden]`` before it.

        Returns:
            What was seen, and the memory ``float32 [layers, B, hidden]`` after the window.

        Raises:
            ValueError: if ``memory`` does not fit.
        """
        seen, memory = self.glance(inputs, memory)
        return self.include_past(seen), memory

    def glance(self, inputs: WorldModelInputs, memory: Tensor) -> tuple[Observed, Tensor]:
        """Do of :meth:`observe` only what the memory needs: the past frames may be left out."""
        batch, steps = inputs.is_first.shape
        self.memory.check(memory, batch)
        image, history = inputs.image.flatten(0, 1), inputs.token_history.flatten(0, 1)
        past = self.frames.history(self.tokenizer, history) if self.config.und_sees_history else None
        with self._precision():
            cache, pooled = self._prefix(image, past)
        features = torch.cat([pooled.unflatten(0, (batch, steps)), inputs.state, inputs.prev_action], dim=-1)
        recalled, memory = self.memory(features, inputs.is_first, memory, backprop=self.memory_backprop)
        return Observed(cache, pooled, inputs.state.flatten(0, 1), recalled.flatten(0, 1), history, past), memory

    def include_past(self, seen: Observed) -> Observed:
        """Return ``seen`` with the past frames in its cache, for whoever predicts or decides from it."""
        if seen.past is not None:
            return seen
        past = self.frames.history(self.tokenizer, seen.history)
        with self._precision():
            _, cache = joint_attention([self.gen], [past.tokens], seen.cache, None)
        return replace(seen, cache=cache, past=past)

    def _context(self, seen: Observed, action_history: Tensor) -> Tensor:
        """Return memory, state and action tokens ``[N, 2 + n_obs, width]``.

        The memory token, the first, is also added to every token of the next frame: as one among a hundred in the
        attention alone, it gets a gradient a hundred times smaller, and is not learned to be used.
        """
        single = torch.stack([self.memory_token(seen.recalled), self.state_token(seen.state)], dim=1)
        return torch.cat([single, self.action_token(action_history)], dim=1)

    def _prefix(self, image: Tensor, past: PastFrames | None) -> tuple[Cache, Tensor]:
        """Run ``image uint8 [N, C, 3, H, W]`` and the prompt through the experts, with past frames if they are seen.

        Returns:
            The cache, and the mean ``[N, width]`` of the understanding expert's outputs.
        """
        if past is not None:
            experts = [self.vlm.language_model, self.gen]
            (und, _), cache = joint_attention(experts, [self._look(image), past.tokens], [], None)
            return cache, und.mean(dim=1)
        if self._prefixes is not None and not self._vlm_learns():
            return self._prefixes(image, self._understand)
        return self._understand(image)

    def _understand(self, image: Tensor) -> tuple[Cache, Tensor]:
        """Return keys and values of pictures and prompt, which see nothing else, and their mean output."""
        (und,), cache = joint_attention([self.vlm.language_model], [self._look(image)], [], None)
        return cache, und.mean(dim=1)

    def _look(self, image: Tensor) -> Tensor:
        """Embed ``image uint8 [N, C, 3, H, W]`` and the prompt as ``[N, tokens, width]``."""
        pixels = normalise_images(image.flatten(0, 1), self.config.und.vision.image_size)
        seen = self.vlm.get_image_features(pixels).pooler_output.unflatten(0, image.shape[:2]).flatten(1, 2)
        text = self.vlm.language_model.embed_tokens(self.prompt)
        return torch.cat([seen, text.expand(len(seen), -1, -1)], dim=1)

    def _vlm_learns(self) -> bool:
        return any(parameter.requires_grad for parameter in self.vlm.parameters())

    def _logits(self, hidden: Tensor, left: Tensor) -> Tensor:
        return self.frames.logits(hidden, left, self.tokenizer.quantizer.codebook.weight)

    def _suffix(self, tokens: Tensor, cache: Cache, begin: int) -> tuple[Tensor, Cache]:
        """Run the suffix tokens ``begin ...`` after the cached ones; each block sees the blocks up to itself."""
        end = begin + tokens.shape[1]
        block = self.suffix_block
        prefix = cache[0][0].shape[2] - begin
        mask = F.pad(block[None, :end] <= block[begin:end, None], (prefix, 0), value=True)
        places = prefix + self.suffix_place[begin:end]
        with self._precision():
            (hidden,), cache = joint_attention([self.gen], [tokens], cache, mask, places)
        return hidden, cache

    def _precision(self) -> AbstractContextManager:
        """Return a context in which experts kept in bfloat16 take other inputs, also where a trainer gives none."""
        kept = {expert.norm.weight.dtype for expert in (self.vlm.language_model, self.gen)}
        device = self.suffix_block.device.type
        if torch.bfloat16 in kept and not torch.is_autocast_enabled(device):
            return torch.autocast(device, torch.bfloat16)
        return nullcontext()
