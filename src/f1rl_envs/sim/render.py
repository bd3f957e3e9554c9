"""The renderer: which device draws, with which shader, and what is said when none can.

Three things make a software renderer (Mesa's lavapipe) fast enough to train with:

- One ``RenderSystem`` lives as long as the process. SAPIEN frees its engine, with every compiled shader, as soon as the
  last one goes; rebuilding a scene would then cost seconds.
- SAPIEN fills a table of the BRDF's integral on the CPU before its first picture, 3.4 s, which only reflections of an
  environment map read. :func:`shader_dir` makes a copy of SAPIEN's ``minimal`` shader that computes the value instead
  (Karis 2014, "Physically Based Shading on Mobile", the analytic fit of the environment BRDF).
- ``LP_NUM_THREADS=0`` keeps each process on its own core. It must be in the environment before SAPIEN first touches
  Vulkan; :func:`setup` sets it where the caller has not.

Only one rendering device per process is possible (SAPIEN refuses a second), so that :func:`setup` is idempotent and
refuses a change.
"""

from __future__ import annotations

import hashlib
import logging
import os
import shutil
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from f1rl_envs.errors import RendererError
from f1rl_envs.sim.cache import cache_root

os.environ.setdefault("LP_NUM_THREADS", "0")

import sapien

if TYPE_CHECKING:
    from mani_skill.render import ShaderConfig

LOG = logging.getLogger(__name__)

INSTALL_COMMAND = (
    "apt-get install -t bookworm-backports mesa-vulkan-drivers libvulkan1   "
    "(Debian 12, suite bookworm-backports enabled; Debian 13 and Ubuntu 24.04: apt-get install mesa-vulkan-drivers)"
)
PICTURE_FORMATS = {
    "Color": "r8g8b8a8unorm",
    "ColorRaw": "r8g8b8a8unorm",
    "PositionSegmentation": "r16g16b16a16sint",
}

_LUT_LOOKUP = "vec2 envBRDF = texture(samplerBRDFLUT, vec2(roughness, dotNV)).xy;"
_LUT_ANALYTIC = """vec4 fit = roughness * vec4(-1.0, -0.0275, -0.572, 0.022) + vec4(1.0, 0.0425, 1.04, -0.04);
  float a004 = min(fit.x * fit.x, exp2(-9.28 * dotNV)) * fit.x + fit.y;
  vec2 envBRDF = vec2(-1.04, 1.04) * a004 + fit.zw;"""
_LUT_DECLARATIONS = {"gbuffer.frag": "layout(set = 3, binding = 8) uniform sampler2D samplerBRDFLUT;\n"}
_LUT_DECLARATIONS["composite0.frag"] = "layout(set = 2, binding = 8) uniform sampler2D samplerBRDFLUT;\n"


@dataclass(frozen=True)
class Renderer:
    """What draws the pictures of this process."""

    requested: str
    """What the configuration asked for: ``auto``, ``cpu`` or ``cuda:N``."""
    backend: str
    """ManiSkill's name for it: ``cpu`` or ``cuda:N``."""
    device: str
    """Name of the device as its driver gives it."""
    fallback: bool
    """Whether something less than what was asked for is used."""
    reason: str | None
    """Why, if so."""
    shader: str
    """Shader directory: ours, or SAPIEN's own name where ours could not be made."""

    def as_record(self) -> dict[str, Any]:
        """Return it as plain values for a run record."""
        return asdict(self)


_renderer: Renderer | None = None
_keep_alive: sapien.render.RenderSystem | None = None


def _patched_shaders(source: Path) -> dict[str, str]:
    """Return the sources of the ``minimal`` shader without its table.

    Raises:
        LookupError: if they are not what the patch was written for.
    """
    files = {path.name: path.read_text() for path in sorted((source / "minimal").iterdir())}
    for name, declaration in _LUT_DECLARATIONS.items():
        if files.get(name, "").count(declaration) != 1:
            raise LookupError(f"{name} does not declare samplerBRDFLUT as expected")
        files[name] = files[name].replace(declaration, "")
    if files["gbuffer.frag"].count(_LUT_LOOKUP) != 1:
        raise LookupError("gbuffer.frag does not read samplerBRDFLUT as expected")
    files["gbuffer.frag"] = files["gbuffer.frag"].replace(_LUT_LOOKUP, _LUT_ANALYTIC)
    if any("samplerBRDFLUT" in text for text in files.values()):
        raise LookupError("another file reads samplerBRDFLUT")
    return files


def shader_dir(source: Path | None = None) -> str:
    """Return the directory of our shader, made on first use, or ``minimal`` (and a warning) if it cannot be made.

    The folder is named after SAPIEN's version and the sources' hash and appears whole or not at all, so that any
    number of processes may ask at once.

    Args:
        source: SAPIEN's shader folder; by default that of the installed package.
    """
    source = source or Path(sapien.__file__).parent / "vulkan_shader"
    try:
        files = _patched_shaders(source)
        digest = hashlib.sha256("".join(files.values()).encode()).hexdigest()[:12]
        target = cache_root() / "shaders" / f"sapien-{sapien.__version__}-{digest}"
        if not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            scratch = Path(tempfile.mkdtemp(dir=target.parent))
            shutil.copytree(source / "common", scratch / "common")
            (scratch / "minimal").mkdir()
            for name, text in files.items():
                (scratch / "minimal" / name).write_text(text)
            try:
                scratch.rename(target)
            except OSError:  # another process was first; its folder has the same contents
                shutil.rmtree(scratch)
        return str(target / "minimal")
    except (LookupError, OSError) as error:
        LOG.warning(
            "cannot make the fast shader for SAPIEN %s (%s): using its own `minimal`; pictures are the same, each "
            "process needs about 4 s more for its first one",
            sapien.__version__,
            error,
        )
        return "minimal"


def _vulkan_devices() -> list[str]:
    """Return the names of the devices that Vulkan offers.

    Raises:
        RendererError: if there are none; says what to install.
    """
    try:
        summary = sapien.render.get_device_summary()
    except RuntimeError as error:
        found = {key: os.environ[key] for key in ("VK_ICD_FILENAMES", "VK_DRIVER_FILES") if key in os.environ}
        where = f"; the environment restricts the drivers to {found}, unset that or correct it" if found else ""
        raise RendererError(
            f"no usable Vulkan driver (SAPIEN says: {error}){where}. Rendering without a GPU needs Mesa's software "
            f"driver lavapipe, version 24.3 or newer. Install it with\n  {INSTALL_COMMAND}"
        ) from error
    names = [line.partition(":")[2].strip() for line in summary.splitlines() if line.startswith("GPU:")]
    return names or ["unknown"]


def _choose(requested: str, devices: list[str]) -> tuple[str, str, str | None]:
    """Return ManiSkill's backend, the device's name, and the reason if it is a fallback.

    Raises:
        RendererError: if a CUDA device was asked for by number and cannot draw.
    """
    software = next((name for name in devices if "llvmpipe" in name), devices[0])
    kind, _, number = requested.partition(":")
    if requested == "cpu":
        return "cpu", software, None
    backend = f"cuda:{number or 0}"
    try:
        device = sapien.Device(backend)
        fault = None if device.can_render() else f"{backend} ({device.name}) has no Vulkan driver"
    except RuntimeError as error:
        device, fault = None, str(error)
    if fault is None:
        return backend, device.name, None
    if kind == "auto":
        return "cpu", software, f"no CUDA device can draw ({fault}); the software renderer is used"
    raise RendererError(
        f"env.render_device={requested}: {fault}. Vulkan offers: {', '.join(devices)}. Numbers count the devices in "
        f"CUDA_VISIBLE_DEVICES={os.environ.get('CUDA_VISIBLE_DEVICES', '(not set)')}. "
        "Use env.render_device=auto to fall back to the software renderer."
    )


def setup(requested: str = "auto") -> Renderer:
    """Start the renderer of this process, once; later calls return the same.

    Args:
        requested: ``auto`` or ``auto:N`` (CUDA where it can draw, else the software renderer), ``cpu`` or ``cuda:N``,
            where N counts the visible devices; without it, it is 0.

    Raises:
        RendererError: if there is no usable driver, the device does not exist, or this process already draws on
            another one.
    """
    global _renderer, _keep_alive
    if _renderer is not None:
        if requested not in (_renderer.requested, _renderer.backend, "auto"):
            raise RendererError(
                f"env.render_device={requested}: this process already draws on {_renderer.backend}, and SAPIEN can use "
                "one device per process; build the other environment in a process of its own"
            )
        return _renderer
    backend, device, reason = _choose(requested, _vulkan_devices())
    try:
        _keep_alive = sapien.render.RenderSystem(sapien.Device(backend))
    except RuntimeError as error:
        raise RendererError(
            f"Vulkan device {device!r} cannot be used for rendering ({error}); a software driver older than Mesa 24.3 "
            f"fails like this. Install a newer one with\n  {INSTALL_COMMAND}"
        ) from error
    _renderer = Renderer(requested, backend, device, reason is not None, reason, shader_dir())
    if reason is not None:
        LOG.warning("rendering on %s: %s", device, reason)
    return _renderer


def set_picture_formats() -> None:
    """Make cameras that are built from now on give 8-bit colour; another shader's camera may have changed it."""
    for name, pixel_format in PICTURE_FORMATS.items():
        sapien.render.set_picture_format(name, pixel_format)


def camera_shader(renderer: Renderer) -> ShaderConfig:
    """Return ManiSkill's description of our shader: that of ``minimal`` with another directory."""
    # Here and not above: whether there is a driver can be said before torch and ManiSkill are loaded.
    from mani_skill.render import PREBUILT_SHADER_CONFIGS, ShaderConfig

    minimal = PREBUILT_SHADER_CONFIGS["minimal"]
    return ShaderConfig(renderer.shader, minimal.texture_names, {}, minimal.texture_transforms)
