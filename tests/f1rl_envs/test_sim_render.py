from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import sapien

from f1rl_envs.errors import RendererError
from f1rl_envs.sim import render

pytestmark = pytest.mark.sim
SOURCE = Path(sapien.__file__).parent / "vulkan_shader"


def run(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run Python code in a process of its own, where no renderer is up yet."""
    return subprocess.run(
        [sys.executable, "-c", code], env=os.environ | environment, capture_output=True, text=True, timeout=120
    )


def test_record_names_the_device_and_the_fallback():
    renderer = render.setup("auto")
    record = json.loads(json.dumps(renderer.as_record()))
    assert set(record) == {"requested", "backend", "device", "fallback", "reason", "shader"}
    assert record["device"]
    assert record["fallback"] == (record["reason"] is not None)
    if record["backend"] == "cpu":
        assert "llvmpipe" in record["device"]
    assert render.setup("auto") is renderer


def test_another_device_in_one_process_is_refused():
    render.setup("auto")
    with pytest.raises(RendererError, match="one device per process"):
        render.setup("cuda:7")


@pytest.mark.parametrize("variable", [{"VK_ICD_FILENAMES": "/nowhere.json"}, {"VK_DRIVER_FILES": "/nowhere.json"}])
def test_no_driver_is_one_clear_error(variable):
    result = run("from f1rl_envs.sim import render\nrender.setup('auto')", **variable)
    assert result.returncode == 1
    last = result.stderr.strip().splitlines()
    assert any(line.startswith("f1rl_envs.errors.RendererError: no usable Vulkan driver") for line in last)
    assert "/nowhere.json" in result.stderr
    assert "apt-get install -t bookworm-backports mesa-vulkan-drivers" in result.stderr
    assert "24.3" in result.stderr


def test_a_missing_cuda_device_is_one_clear_error():
    code = "from f1rl_envs.sim import render\nrender.setup('cuda:99')"
    result = run(code)
    assert result.returncode == 1
    assert "RendererError: env.render_device=cuda:99" in result.stderr
    assert "render_device=auto" in result.stderr


def test_shader_is_made_once_and_whole(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    first = Path(render.shader_dir())
    assert first.is_relative_to(tmp_path)
    assert sorted(p.name for p in first.iterdir()) == sorted(p.name for p in (SOURCE / "minimal").iterdir())
    assert (first.parent / "common").is_dir()
    assert not any("samplerBRDFLUT" in p.read_text() for p in first.iterdir())
    stamp = first.stat().st_mtime_ns
    assert Path(render.shader_dir()) == first
    assert first.stat().st_mtime_ns == stamp
    assert len(list((tmp_path / "f1rl" / "shaders").iterdir())) == 1


def test_an_unknown_shader_falls_back_loudly(tmp_path, caplog):
    (tmp_path / "minimal").mkdir()
    (tmp_path / "minimal" / "gbuffer.frag").write_text("#version 450\n")
    assert render.shader_dir(tmp_path) == "minimal"
    assert "cannot make the fast shader" in caplog.text


def test_an_unwritable_cache_is_replaced(tmp_path, monkeypatch):
    blocked = tmp_path / "file"
    blocked.write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(blocked))
    monkeypatch.setattr(render.tempfile, "tempdir", str(tmp_path))
    assert Path(render.shader_dir()).is_relative_to(tmp_path)


_PICTURE = """
import hashlib, sapien
from f1rl_envs.sim import render
if {stock}: render.shader_dir = lambda: "minimal"
renderer = render.setup("cpu")
render.set_picture_formats()
sapien.render.set_camera_shader_dir(renderer.shader)
scene = sapien.Scene([sapien.physx.PhysxCpuSystem(), sapien.render.RenderSystem(sapien.Device("cpu"))])
scene.set_ambient_light([0.4] * 3)
scene.add_directional_light([0.4, 0.3, -1], [1, 1, 1])
builder = scene.create_actor_builder()
for k in range(4):
    material = sapien.render.RenderMaterial(base_color=[0.8, 0.3, 0.2, 1], roughness=0.1 + 0.3 * k, metallic=0.3 * k)
    builder.add_sphere_visual(sapien.Pose([0, 0.25 * k - 0.4, 0]), radius=0.12, material=material)
builder.build_static("balls")
camera = scene.add_camera("c", 128, 128, 1.0, 0.01, 10)
camera.entity.set_pose(sapien.Pose([-1.2, 0, 0]))
scene.update_render(); camera.take_picture()
print(hashlib.sha256(camera.get_picture("Color").tobytes()).hexdigest())
"""


@pytest.mark.slow  # SAPIEN fills its table on the CPU
def test_our_shader_draws_what_the_stock_one_draws():
    ours, stock = (run(_PICTURE.format(stock=stock)) for stock in (False, True))
    assert ours.returncode == stock.returncode == 0, ours.stderr + stock.stderr
    assert ours.stdout == stock.stdout
