"""Import of the public checkpoint's layout, and of things that only look like it."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from app.errors import CheckpointRefused, ModelBroken
from app.inference.bundle import load_weights, verify
from app.inference.checkpoint import import_checkpoint
from app.inference.device import choose_placement
from app.inference.network import TorchNetwork, network_with, scaled
from tests.support.bundles import hollow_state, random_state


@pytest.fixture(scope="module")
def public_checkpoint(tmp_path_factory):
    """As the public ``save.pt``: a plain state_dict, float32, with the counters that only training needs."""
    state = random_state(seed=3)
    counters = {
        name.replace("running_mean", "num_batches_tracked"): torch.tensor(1_000)
        for name in state
        if name.endswith("running_mean")
    }
    path = tmp_path_factory.mktemp("checkpoint") / "save.pt"
    torch.save({**state, **counters}, path)
    yield path
    path.unlink()


def test_the_public_layout_is_imported_and_computes_what_the_checkpoint_computes(public_checkpoint, tmp_path):
    bundle = verify(import_checkpoint(public_checkpoint, tmp_path, "ccmusic", "1").path)
    assert bundle.card.source == "imported from save.pt"
    assert not bundle.card.starter
    state = load_weights(bundle)
    assert {tensor.dtype for tensor in state.values()} == {torch.float32}
    pictures = np.random.default_rng(0).integers(0, 256, (1, 224, 224, 3), np.uint8)
    found = TorchNetwork(state, choose_placement("cpu", "fp32")).forward(pictures)
    with torch.inference_mode():
        expected = network_with(random_state(seed=3))(scaled(torch.from_numpy(pictures))).softmax(dim=1)
    np.testing.assert_allclose(found, expected.numpy(), atol=2e-5)


@pytest.fixture
def refuse(tmp_path):
    """Check that a checkpoint is refused with these words and leaves no bundle."""

    def check(content, words, **options):
        path = tmp_path / "checkpoint.pt"
        torch.save(content, path, **options)
        with pytest.raises(CheckpointRefused, match=words):
            import_checkpoint(path, tmp_path / "models", "bad", "1")
        assert not (tmp_path / "models").exists()

    return check


def without(name):
    return {key: value for key, value in hollow_state().items() if key != name}


def test_a_missing_tensor_is_named(refuse):
    refuse(without("features.49.bias"), "features.49.bias is missing")


def test_an_unknown_tensor_is_named(refuse):
    refuse({**hollow_state(), "classifier.6.weight": torch.zeros(3)}, "classifier.6.weight does not belong")


def test_a_wrong_shape_is_named(refuse):
    refuse(
        {**hollow_state(), "classifier.9.weight": torch.zeros(1000, 100)},
        r"classifier.9.weight has the shape \(1000, 100\), not \(16, 100\)",
    )


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_value_that_is_not_finite_is_refused(refuse, value):
    refuse(
        {**hollow_state(), "classifier.9.bias": torch.tensor([value] + [0.0] * 15)}, "classifier.9.bias holds values"
    )


@pytest.mark.parametrize("value", [torch.zeros(16, dtype=torch.int64), "sixteen"])
def test_what_is_no_tensor_of_numbers_is_named(refuse, value):
    refuse({**hollow_state(), "classifier.9.bias": value}, "classifier.9.bias is no tensor")


def test_a_checkpoint_without_tensors_is_refused(refuse):
    refuse([1, 2, 3], "holds no state_dict")


class Malicious:
    """Runs code when it is unpickled."""

    def __init__(self, victim):
        self.victim = victim

    def __reduce__(self):
        return (open, (str(self.victim), "w"))


@pytest.mark.parametrize("zipped", [True, False])
def test_code_in_a_checkpoint_is_refused_and_not_run(refuse, tmp_path, zipped):
    victim = tmp_path / "owned"
    content = {**hollow_state(), "classifier.9.bias": Malicious(victim)}
    refuse(content, "could run foreign code", _use_new_zipfile_serialization=zipped)
    assert not victim.exists()


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", b"PK\x03\x04 not a zip file"])
def test_a_file_that_is_no_checkpoint_is_refused(tmp_path, content):
    path = tmp_path / "save.pt"
    path.write_bytes(content)
    with pytest.raises(CheckpointRefused, match=r"save\.pt: it"):
        import_checkpoint(path, tmp_path / "models", "bad", "1")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(CheckpointRefused, match="No such file"):
        import_checkpoint(tmp_path / "save.pt", tmp_path / "models", "bad", "1")


def test_a_bad_name_is_refused_before_the_checkpoint_is_read(tmp_path):
    with pytest.raises(ModelBroken, match="no name or version"):
        import_checkpoint(tmp_path / "save.pt", tmp_path, "../bad", "1")


def test_checkpoints_of_parallel_training_are_understood(tmp_path):
    path = tmp_path / "save.pt"
    torch.save({"state_dict": {f"module.{name}": tensor for name, tensor in hollow_state().items()}, "epoch": 3}, path)
    bundle = import_checkpoint(path, tmp_path / "models", "wrapped", "1")
    assert float(load_weights(bundle)["classifier.9.bias"][0]) == 0.5


def test_the_tensors_are_also_found_under_the_key_model(refuse):
    refuse({"model": without("features.0.bias")}, "features.0.bias is missing")
