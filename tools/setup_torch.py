"""Make torch and torchaudio of this environment fit this machine: the one place where that is done.

Two traps of the platform are solved here, nowhere else:

a. ``pip install torch`` takes a CPU build where one is offered locally (a wheel folder, a company index) and a CUDA build
   of several GB otherwise. Either works for Earmark, except that a machine with an NVIDIA GPU needs the CUDA build: if the
   local offer won there, torch is installed once more without that offer.
b. torchaudio's wheel is linked against CUDA, so beside a CPU-only torch its compiled extension fails to load
   (``libc10_cuda.so``). Without the extension torchaudio falls back to pure Python, which is all that Earmark uses.
   So beside a CPU-only torch the extension is set aside, and beside a CUDA torch it is put back.

Run it with the environment's own Python, after the lock's packages are installed; running it again changes nothing.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

EXTENSION = "_torchaudio.abi3.so"
SET_ASIDE = EXTENSION + ".needs-cuda"
PIN = Path(__file__).resolve().parent.parent / "requirements" / "torch.txt"


def machine_has_nvidia_gpu() -> bool:
    return Path("/proc/driver/nvidia/version").exists() or shutil.which("nvidia-smi") is not None


def wants_cuda(choice: str, *, has_gpu: bool) -> bool:
    """``EARMARK_TORCH`` may be auto (the default), cpu or cuda."""
    if choice not in ("auto", "cpu", "cuda"):
        raise SystemExit(f"EARMARK_TORCH is {choice!r}; it must be auto, cpu or cuda")
    return choice == "cuda" or (choice == "auto" and has_gpu)


def torch_has_cuda() -> bool:
    """Ask in a fresh process: an import here would pin the build that is about to be replaced."""
    code = "import torch, sys; sys.exit(0 if torch.version.cuda else 3)"
    return subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def pip(*arguments: str, env: dict[str, str] | None = None) -> str:
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", *arguments]
    return subprocess.run(command, check=True, env=env, stdout=subprocess.PIPE, text=True).stdout


def environment_without_local_offers() -> dict[str, str]:
    """The user's pip settings, less those that offer a second source of wheels beside the index."""
    env = {key: value for key, value in os.environ.items() if key not in ("PIP_FIND_LINKS", "PIP_EXTRA_INDEX_URL")}
    for line in pip("config", "list").splitlines():
        name, _, value = line.partition("=")
        key = name.rpartition(".")[2].replace("-", "_").upper()
        if key not in ("FIND_LINKS", "EXTRA_INDEX_URL"):
            env.setdefault(f"PIP_{key}", value.strip("'\""))
    return {**env, "PIP_CONFIG_FILE": os.devnull}


def install_cuda_build() -> None:
    print(
        "This machine has an NVIDIA GPU: replacing the CPU build of torch by the CUDA build (several GB).", flush=True
    )
    env = environment_without_local_offers()
    pip("uninstall", "--yes", "torch", env=env)
    pip("install", "--requirement", str(PIN), env=env)


def fit_torchaudio(library: Path, *, cuda: bool) -> None:
    """Set torchaudio's compiled extension aside, or put it back, in its ``lib`` folder."""
    wanted, unwanted = (EXTENSION, SET_ASIDE) if cuda else (SET_ASIDE, EXTENSION)
    if (library / unwanted).exists():
        (library / unwanted).replace(library / wanted)


def torchaudio_library() -> Path:
    spec = importlib.util.find_spec("torchaudio")
    if spec is None or spec.origin is None:
        raise SystemExit("torchaudio is not installed; install requirements/worker.txt first")
    return Path(spec.origin).parent / "lib"


def main() -> None:
    cuda = torch_has_cuda()
    if wants_cuda(os.environ.get("EARMARK_TORCH", "auto"), has_gpu=machine_has_nvidia_gpu()) and not cuda:
        install_cuda_build()
        cuda = torch_has_cuda()
    fit_torchaudio(torchaudio_library(), cuda=cuda)


if __name__ == "__main__":
    main()
