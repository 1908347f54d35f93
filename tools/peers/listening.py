"""The same network on the same files, put together as it usually is: librosa, a colour map, a resize, torch.

This is what the peers serve. What it leaves out against the reference program, the figure and its JPEG compression, is what
people leave out; the bench shows what that costs in agreement.
"""

from __future__ import annotations

import io
import os
from pathlib import Path

import librosa
import numpy as np
import torch
from matplotlib import colormaps
from numpy.typing import NDArray
from PIL import Image
from safetensors.torch import load_file

from app.inference.network import network_with

_SAMPLE_RATE_HZ = 22_050
_WINDOW_S = 11.4
_COLOURS = colormaps["magma"]


def load_network() -> tuple[torch.nn.Module, torch.dtype]:
    """The network of EARMARK_PEER_WEIGHTS in the number format of EARMARK_PEER_DTYPE, channels-last where it is bfloat16."""
    dtype = {"fp32": torch.float32, "bf16": torch.bfloat16}[os.environ["EARMARK_PEER_DTYPE"]]
    state = load_file(Path(os.environ["EARMARK_PEER_WEIGHTS"]))
    network = network_with({name: tensor.float() for name, tensor in state.items()}).to(dtype)
    return (network.to(memory_format=torch.channels_last) if dtype == torch.bfloat16 else network), dtype


def pictures_of(content: bytes) -> NDArray[np.float32]:
    """The windows of the first 30 s, scaled to [-1, 1]: (windows, 3, 224, 224)."""
    samples, _ = librosa.load(io.BytesIO(content), sr=_SAMPLE_RATE_HZ, mono=True, duration=30)
    decibels = librosa.amplitude_to_db(np.abs(librosa.cqt(samples, sr=_SAMPLE_RATE_HZ)), ref=np.max)
    frames = int(_WINDOW_S * decibels.shape[1] / (len(samples) / _SAMPLE_RATE_HZ))
    count = max(1, decibels.shape[1] // frames)
    return np.stack([_picture(decibels[:, i * frames : (i + 1) * frames]) for i in range(count)])


def _picture(decibels: NDArray[np.float32]) -> NDArray[np.float32]:
    share = (decibels - decibels.min()) / max(1e-9, float(np.ptp(decibels)))
    colours = (_COLOURS(share[::-1])[:, :, :3] * 255).astype(np.uint8)
    resized = Image.fromarray(colours).resize((224, 224), Image.Resampling.BILINEAR)
    return np.asarray(resized, dtype=np.float32).transpose(2, 0, 1) / 127.5 - 1


def probabilities(network: torch.nn.Module, dtype: torch.dtype, clips: list[NDArray[np.float32]]) -> list[list[float]]:
    """The mean over the windows of each clip, 16 numbers each."""
    with torch.inference_mode():
        rows = network(torch.from_numpy(np.concatenate(clips)).to(dtype)).float().softmax(dim=1)
    parts = torch.split(rows, [len(clip) for clip in clips])
    return [part.mean(dim=0).tolist() for part in parts]
