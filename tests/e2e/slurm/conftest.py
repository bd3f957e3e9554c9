"""One real SLURM cluster for all tests of this folder: two nodes with four fake GPUs each, with accounts."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def cluster(repository: Path) -> Iterator[Path]:
    """Start the cluster, point this process and its children to it, and stop it at the end of the session."""
    scripts = repository / "launchers" / "local_slurm"
    if os.getuid() != 0:
        pytest.skip("a SLURM cluster of one's own needs root: slurmd starts jobs as their users")
    with tempfile.TemporaryDirectory(prefix="f1rl-slurm-", ignore_cleanup_errors=True) as folder:  # short, for sockets
        up = subprocess.run([scripts / "up.sh", folder, "--nodes", "2"], capture_output=True, text=True, check=False)
        assert up.returncode == 0, up.stdout + up.stderr
        with pytest.MonkeyPatch.context() as patch:
            for name in [name for name in os.environ if name.startswith("SLURM_")]:
                patch.delenv(name)
            patch.setenv("SLURM_CONF", f"{folder}/etc/slurm.conf")
            try:
                yield Path(folder)
            finally:
                subprocess.run([scripts / "down.sh", folder, "--wipe"], check=True, capture_output=True)
