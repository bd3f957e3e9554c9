"""Who may import whom: data flows one way, so that each package can be read, used and tested without those above it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

SRC = Path(__file__).resolve().parents[1] / "src"

HEAVY = ("torch", "lightning", "mani_skill", "sapien", "transformers", "diffusers", "peft")

# Each package with the parts of the project that it may import besides itself. The longest prefix counts.
ALLOWED = {
    "f1rl_envs": (),
    "f1rl": (),
    "f1rl.__main__": ("f1rl.cli",),
    "f1rl.cli": (
        "f1rl.config",
        "f1rl.errors",
        "f1rl.multirun",
        "f1rl.typed",
        "f1rl.launch.outcome",
        "f1rl.launch.run",
        "f1rl_envs.errors",
    ),
    "f1rl.jobs": (
        "f1rl",
        "f1rl.cli",
        "f1rl.config",
        "f1rl.errors",
        "f1rl.launch.devices",
        "f1rl.launch.outcome",
        "f1rl.launch.signals",
        "f1rl.multirun",
        "f1rl.pipeline",
        "f1rl.records",
        "f1rl.studies",
        "f1rl.typed",
        "f1rl_envs",
    ),
    "hydra_plugins": ("f1rl.config.schema", "f1rl.jobs"),
    "f1rl.multirun": ("f1rl.config", "f1rl.errors", "f1rl.launch.run", "f1rl.studies", "f1rl.typed"),
    "f1rl.studies": ("f1rl.errors",),
    "f1rl.config": ("f1rl.errors", "f1rl.typed", "f1rl.models.config", "f1rl.phases.algorithm"),
    "f1rl.phases.algorithm": (),
    "f1rl.models": ("f1rl.errors", "f1rl.typed"),
    "f1rl.typed": (),
    "f1rl.losses": ("f1rl.errors",),
    "f1rl.records": ("f1rl.errors",),
    "f1rl.health": ("f1rl.records",),
    "f1rl.views": ("f1rl.errors", "f1rl.records"),
    "f1rl.checkpoint": ("f1rl.errors", "f1rl.records"),
    "f1rl.ranks": ("f1rl.errors",),
    "f1rl.lineage": ("f1rl.records.differences",),
    "f1rl.pipeline": ("f1rl.config", "f1rl.errors", "f1rl.lineage", "f1rl.records", "f1rl.typed"),
    "f1rl.dataset": ("f1rl.errors", "f1rl.records", "f1rl_envs"),
    "f1rl.rollout": ("f1rl.errors", "f1rl.models.interface", "f1rl.dataset", "f1rl_envs"),
    "f1rl.phases": ("f1rl.errors", "f1rl.models", "f1rl.losses", "f1rl.rollout", "f1rl_envs.actions", "f1rl_envs.spec"),
    "f1rl.callbacks": ("f1rl.errors", "f1rl.records", "f1rl.health", "f1rl.checkpoint", "f1rl.ranks"),
    "f1rl.launch": (
        "f1rl",
        "f1rl.config",
        "f1rl.errors",
        "f1rl.models",
        "f1rl.losses",
        "f1rl.records",
        "f1rl.health",
        "f1rl.checkpoint",
        "f1rl.lineage",
        "f1rl.pipeline",
        "f1rl.dataset",
        "f1rl.rollout",
        "f1rl.phases",
        "f1rl.callbacks",
        "f1rl.ranks",
        "f1rl.typed",
        "f1rl.views",
        "f1rl_envs",
    ),
    "f1rl.tools": (
        "f1rl",
        "f1rl.config",
        "f1rl.errors",
        "f1rl.typed",
        "f1rl.records",
        "f1rl.health",
        "f1rl.views",
        "f1rl.checkpoint",
        "f1rl.models",
        "f1rl.dataset",
        "f1rl.rollout",
        "f1rl.launch.environment",
        "f1rl_envs",
    ),
    "f1rl.tools.evaluate": (
        "f1rl.typed",
        "f1rl.errors",
        "f1rl.launch.devices",
        "f1rl.launch.evaluation",
        "f1rl.launch.summary",
        "f1rl.tools",
    ),
    "f1rl.tools.pipeline": (
        "f1rl.errors",
        "f1rl.records",
        "f1rl.pipeline",
        "f1rl.launch.signals",
        "f1rl.launch.spawn",
        "f1rl.tools",
    ),
}

# Each package with the third-party packages that it must not import. The longest prefix counts.
FORBIDDEN = {
    "hydra_plugins": (*HEAVY, "wandb", "submitit"),  # Hydra imports it at every start
    "f1rl_envs": (
        "torch",
        "mani_skill",
        "sapien",
        "lightning",
        "transformers",
        "diffusers",
        "hydra",
        "omegaconf",
        "wandb",
    ),
    "f1rl_envs.sim": ("lightning", "transformers", "diffusers", "hydra", "omegaconf", "wandb"),
    "f1rl": (*HEAVY, "wandb"),
    "f1rl.models": ("lightning", "mani_skill", "sapien", "hydra", "omegaconf", "wandb"),
    "f1rl.losses": ("lightning", "mani_skill", "sapien", "hydra", "omegaconf", "wandb", "transformers"),
    "f1rl.checkpoint": ("mani_skill", "sapien", "hydra", "omegaconf", "wandb"),
    "f1rl.ranks": ("lightning", "mani_skill", "sapien", "hydra", "omegaconf", "wandb"),
    "f1rl.rollout": ("mani_skill", "sapien", "hydra", "omegaconf", "wandb", "transformers"),
    "f1rl.phases": ("mani_skill", "sapien", "hydra", "omegaconf", "wandb"),
    "f1rl.callbacks": ("mani_skill", "sapien", "hydra", "omegaconf", "wandb"),
    "f1rl.views": HEAVY,  # wandb is imported in processes of their own only
    "f1rl.launch": ("mani_skill", "sapien", "wandb"),
    "f1rl.tools": ("mani_skill", "sapien", "lightning"),
}

# Where an unexpected error must not end the run, and what becomes of it there.
BOUNDARIES = {
    "f1rl_envs.worker_process": "the traceback goes to the worker's log, and the parent replaces the worker",
    "f1rl.views.wandb_follower": "a view of the records is switched off, with one warning",
    "f1rl.records.media": "a picture is left out, with a warning",
    "f1rl.callbacks.tensorboard": "a view of the records is switched off, with one warning",
    "f1rl.launch.tokenizer": "a damaged cache is a warning, and is made again",
    "f1rl.tools.doctor.command": "a check that breaks is a failed row, and the others go on",
}


def module_name(path: Path) -> str:
    name = ".".join(path.relative_to(SRC).with_suffix("").parts)
    return name.removesuffix(".__init__")


MODULES = {module_name(path): path for path in sorted(SRC.rglob("*.py"))}


def is_within(name: str, package: str) -> bool:
    return name == package or name.startswith(package + ".")


def rule_for(module: str, table: dict[str, tuple[str, ...]]) -> tuple[str, tuple[str, ...]]:
    package = max((package for package in table if is_within(module, package)), key=len)
    return package, table[package]


def guards_typing(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def imports(node: ast.AST) -> Iterator[str]:
    """Yield every module that the code imports, anywhere but for type checkers, ``from a import b`` as ``a.b``."""
    for child in ast.iter_child_nodes(node):
        if guards_typing(child):
            continue
        if isinstance(child, ast.Import):
            yield from (alias.name for alias in child.names)
        elif isinstance(child, ast.ImportFrom):
            assert child.level == 0, f"line {child.lineno}: import by full name, so that this test can read it"
            yield from (f"{child.module}.{alias.name}" for alias in child.names)
        yield from imports(child)


def violations(module: str, source: str) -> list[str]:
    package, allowed = rule_for(module, ALLOWED)
    _, forbidden = rule_for(module, FORBIDDEN)
    found = []
    for name in imports(ast.parse(source)):
        if name.split(".")[0] in ("f1rl", "f1rl_envs"):
            # "f1rl" in an allow-list stands for the package's own names (its version), not for everything below it.
            names = [entry for entry in allowed if entry != "f1rl"]
            own = is_within(name, package) if package != "f1rl" else name == "f1rl"
            top = "f1rl" in allowed and name.startswith("f1rl.") and name not in MODULES and name.count(".") == 1
            if not own and not top and not any(is_within(name, entry) for entry in names):
                found.append(f"{module} imports {name}")
        elif any(is_within(name, entry) for entry in forbidden):
            found.append(f"{module} imports {name}")
    return found


BROAD = {"Exception", "BaseException"}


def broad_handlers(tree: ast.AST) -> Iterator[ast.ExceptHandler]:
    for node in ast.walk(tree):
        if isinstance(node, ast.ExceptHandler):
            kinds = node.type.elts if isinstance(node.type, ast.Tuple) else [node.type]
            if any(kind is None or (isinstance(kind, ast.Name) and kind.id in BROAD) for kind in kinds):
                yield node


def swallowed(module: str, source: str) -> list[str]:
    """Find handlers that hide errors: broad ones that do not raise again, and any that do nothing at all."""
    tree = ast.parse(source)
    found = [
        f"{module}:{handler.lineno} catches everything"
        for handler in broad_handlers(tree)
        if module not in BOUNDARIES and not isinstance(handler.body[-1], ast.Raise)
    ]
    found += [
        f"{module}:{node.lineno} hides an error"
        for node in ast.walk(tree)
        if isinstance(node, ast.ExceptHandler) and all(isinstance(line, ast.Pass) for line in node.body)
    ]
    found += [
        f"{module}:{node.lineno} suppresses everything"
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and ast.unparse(node.func) in ("suppress", "contextlib.suppress")
        and any(isinstance(kind, ast.Name) and kind.id in BROAD for kind in node.args)
    ]
    return found


@pytest.mark.parametrize("module", MODULES)
def test_imports_follow_the_table(module: str) -> None:
    assert violations(module, MODULES[module].read_text()) == []


@pytest.mark.parametrize("module", MODULES)
def test_no_error_is_swallowed(module: str) -> None:
    assert swallowed(module, MODULES[module].read_text()) == []


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("f1rl_envs.toy", "import torch"),
        ("f1rl_envs.sim.gym", "from f1rl.errors import F1RLError"),
        ("f1rl.models.f1", "from f1rl.rollout.batch import WindowBatch"),
        ("f1rl.models.f1", "def late():\n    import hydra"),
        ("f1rl.losses.prediction", "import f1rl.phases.teacher"),
        ("f1rl.phases.teacher", "from f1rl.launch import run"),
        ("f1rl.phases.teacher", "import f1rl_envs.registry"),
        ("f1rl.records.jsonl", "import torch.nn"),
        ("f1rl.config.schema", "from f1rl.models.f1 import F1Model"),
        ("f1rl.cli", "from f1rl.launch.build import build_data"),
        ("f1rl.newcomer", "import torch"),
        ("f1rl.launch.run", "from f1rl.tools.report import page"),
    ],
)
def test_a_violation_is_found(module: str, source: str) -> None:
    assert len(violations(module, source)) == 1


@pytest.mark.parametrize(
    "body",
    [
        "except Exception:\n    log()",
        "except:\n    log()",
        "except (OSError, BaseException):\n    log()",
        "except OSError:\n    pass",
    ],
)
def test_a_swallowed_error_is_found(body: str) -> None:
    assert len(swallowed("f1rl.phases.teacher", f"try:\n    work()\n{body}")) == 1
    assert swallowed("f1rl.phases.teacher", f"try:\n    work()\n{body}\n    raise Other") == []
