"""The reference pipeline, drawn with librosa, matplotlib and PIL as the public checkpoint's training data was.

For tests and for ``earmark bench`` only: its packages come with the extra ``bench``.
"""

from __future__ import annotations

import io
import warnings

import librosa
import numpy as np
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image
from torch import nn

SAMPLE_RATE_HZ = 22_050
WINDOW_S = 11.4


def reference_samples(content: bytes) -> NDArray[np.float32]:
    """The first 30 s at 22,050 Hz, (samples,)."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # librosa loads a module of which Python 3.13 has no more
        samples: NDArray[np.float32] = librosa.load(io.BytesIO(content), sr=SAMPLE_RATE_HZ, mono=True, duration=30)[0]
    return samples


def reference_decibels(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """(84, frames), 0 dB at the loudest."""
    magnitudes = np.abs(librosa.cqt(samples, sr=SAMPLE_RATE_HZ))
    decibels: NDArray[np.float32] = librosa.power_to_db(magnitudes**2, ref=np.max)
    return decibels


def reference_figure(decibels: NDArray[np.float32]) -> NDArray[np.uint8]:
    """A window drawn and compressed: uint8 RGB, (369, 496, 3)."""
    figure = Figure(figsize=(6.4, 4.8), dpi=100)
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.pcolormesh(decibels, cmap="magma", rasterized=True)
    axes.set_axis_off()
    content = io.BytesIO()
    figure.savefig(content, format="jpg", bbox_inches="tight", pad_inches=0.0)
    with Image.open(content) as drawn:
        return np.asarray(drawn.convert("RGB"))


def reference_pictures(samples: NDArray[np.float32]) -> NDArray[np.uint8]:
    """The windows of a clip of at least 11.4 s: uint8 RGB, (windows, 224, 224, 3)."""
    decibels = reference_decibels(samples)
    frames = decibels.shape[1]
    step = int(WINDOW_S * frames / (len(samples) / SAMPLE_RATE_HZ))
    count = frames // step
    first = int(0.5 * (frames - count * step))
    windows = [decibels[:, first + i * step : first + (i + 1) * step] for i in range(count)]
    figures = [Image.fromarray(reference_figure(window)) for window in windows]
    return np.stack([np.asarray(figure.resize((224, 224), Image.Resampling.BILINEAR)) for figure in figures])


def reference_probabilities(network: nn.Module, pictures: NDArray[np.uint8]) -> NDArray[np.float32]:
    """The softmax of each window, (windows, 16), by the plain network in float32, one window at a time."""
    rows = []
    with torch.inference_mode():
        for picture in pictures:
            values = torch.from_numpy(picture).permute(2, 0, 1).float().div(255)
            normalised = (values - 0.5) / 0.5
            rows.append(network(normalised.unsqueeze(0)).softmax(dim=1).numpy())
    return np.concatenate(rows)
