"""VGG19_BN with the public head: names, shapes, numbers."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from app.errors import DeviceMissing
from app.inference.device import choose_placement, cpu_computes_bf16
from app.inference.network import TorchNetwork, network_with, scaled, tensor_shapes
from tests.support.bundles import PUBLIC_HEAD, random_state

# Weights and biases of torchvision's vgg19_bn without its classifier, as its documentation and file have them.
_TRUNK_PARAMETERS = 20_035_392
_CONVOLUTIONS_AT = [0, 3, 7, 10, 14, 17, 20, 23, 27, 30, 33, 36, 40, 43, 46, 49]


@pytest.fixture(scope="module")
def state():
    return random_state()


@pytest.fixture(scope="module")
def pictures():
    return np.random.default_rng(1).integers(0, 256, (3, 224, 224, 3), np.uint8)


@pytest.fixture(scope="module")
def network(state):
    return TorchNetwork(state, choose_placement("cpu", "fp32"))


def test_the_layout_is_that_of_the_public_checkpoint():
    shapes = tensor_shapes()
    assert {name: shape for name, shape in shapes.items() if name.startswith("classifier.")} == PUBLIC_HEAD
    convolutions = [int(name.split(".")[1]) for name, shape in shapes.items() if len(shape) == 4]
    assert convolutions == _CONVOLUTIONS_AT
    for index in _CONVOLUTIONS_AT:
        width = shapes[f"features.{index}.weight"][0]
        for tensor in ("weight", "bias", "running_mean", "running_var"):
            assert shapes[f"features.{index + 1}.{tensor}"] == (width,)
    trained = [shape for name, shape in shapes.items() if name.startswith("features.") and "running" not in name]
    assert sum(int(np.prod(shape)) for shape in trained) == _TRUNK_PARAMETERS


def test_pictures_are_scaled_to_minus_one_to_one():
    picture = np.zeros((1, 224, 224, 3), np.uint8)
    picture[0, 0, 0] = (0, 51, 255)
    values = scaled(torch.from_numpy(picture))
    assert values.shape == (1, 3, 224, 224)
    torch.testing.assert_close(values[0, :, 0, 0], (torch.tensor([0.0, 0.2, 1.0]) - 0.5) / 0.5)


def test_a_picture_of_another_size_is_refused(network):
    with pytest.raises(ValueError, match="pictures must be"):
        network.forward(np.zeros((1, 223, 224, 3), np.uint8))


def test_folding_batch_normalisation_does_not_change_the_answers(state, network, pictures):
    with torch.inference_mode():
        plain = network_with(state)(scaled(torch.from_numpy(pictures))).softmax(dim=1).numpy()
    found = network.forward(pictures)
    np.testing.assert_allclose(found, plain, atol=2e-5)
    np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-5)
    assert found.std(axis=0).max() > 1e-3, "a network without opinions would prove nothing"


def test_a_window_scores_the_same_alone_and_in_a_batch(network, pictures):
    together = network.forward(pictures)
    alone = np.concatenate([network.forward(picture[np.newaxis]) for picture in pictures])
    np.testing.assert_allclose(together, alone, atol=2e-5)


def test_bfloat16_stays_close_to_float32(state, network, pictures):
    rounded = TorchNetwork(state, choose_placement("cpu", "bf16"))
    np.testing.assert_allclose(rounded.forward(pictures), network.forward(pictures), atol=0.05)


@pytest.mark.parametrize(
    ("flags", "fast"),
    [("fpu avx512_bf16 avx2", True), ("fpu amx_bf16", True), ("fpu avx2 avx512f", False)],
)
def test_bfloat16_is_chosen_where_the_processor_computes_with_it(tmp_path, flags, fast):
    cpu_info = tmp_path / "cpuinfo"
    cpu_info.write_text(f"processor\t: 0\nflags\t\t: {flags}\n")
    assert cpu_computes_bf16(cpu_info) is fast


def test_a_machine_that_does_not_say_gets_float32(tmp_path):
    assert cpu_computes_bf16(tmp_path / "missing") is False


def test_a_device_that_is_not_there_is_named():
    with pytest.raises(DeviceMissing, match="cuda:99"):
        choose_placement("cuda:99", "auto")
