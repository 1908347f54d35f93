"""Bundles: written once, checked at every start, and clear about what is wrong."""

from __future__ import annotations

import os
import shutil

import pytest
import torch

from app.errors import ModelBroken
from app.inference.bundle import WEIGHTS_FILE, bundle_path, bundle_paths, load_weights, read_card, verify, write_bundle
from app.inference.network import tensor_shapes
from tests.support.bundles import a_description, change_card, forged_bundle


@pytest.fixture(scope="module")
def state():
    generator = torch.Generator().manual_seed(5)
    return {name: torch.rand(shape, generator=generator).bfloat16() for name, shape in tensor_shapes().items()}


@pytest.fixture(scope="module")
def written(state, tmp_path_factory):
    bundle = write_bundle(tmp_path_factory.mktemp("models"), a_description(), state)
    yield bundle
    shutil.rmtree(bundle.path)


@pytest.fixture
def copy(written, tmp_path):
    """A bundle to be damaged. Its files are links: put others in their place, don't write into them."""
    path = tmp_path / "test" / "1"
    shutil.copytree(written.path, path, copy_function=os.link)
    return path


def replace_file(path, content):
    path.unlink()
    path.write_bytes(content)


def test_a_bundle_keeps_its_tensors_and_its_card(state, written):
    assert verify(written.path) == written
    assert written.path.relative_to(written.path.parents[1]).as_posix() == "test/1"
    loaded = load_weights(written)
    assert loaded.keys() == state.keys()
    assert all(torch.equal(loaded[name], tensor) for name, tensor in state.items())


def test_equal_weights_give_equal_bytes_and_a_new_bundle_replaces_the_old_one(state, written, tmp_path):
    again = write_bundle(tmp_path, a_description(), dict(reversed(state.items())))
    assert again.card.sha256 == written.card.sha256
    replaced = write_bundle(tmp_path, a_description(), state)
    assert verify(replaced.path).card.sha256 == written.card.sha256
    assert bundle_paths(tmp_path) == [replaced.path]
    assert [entry.name for entry in replaced.path.parent.iterdir()] == ["1"], "nothing unfinished is left behind"


def test_a_bundle_that_cannot_be_written_leaves_nothing(state, tmp_path):
    incomplete = {name: tensor for name, tensor in state.items() if name != "classifier.9.bias"}
    with pytest.raises(KeyError):
        write_bundle(tmp_path, a_description(), incomplete)
    assert list((tmp_path / "test").iterdir()) == []


@pytest.mark.parametrize("name", ["../elsewhere", "", "a/b", ".hidden", "x" * 65, "blank space"])
def test_a_name_that_could_lead_elsewhere_is_refused(tmp_path, name):
    with pytest.raises(ModelBroken, match="no name or version"):
        bundle_path(tmp_path, name, "1")
    with pytest.raises(ModelBroken, match="no name or version"):
        bundle_path(tmp_path, "name", name)


def test_a_flipped_bit_is_found(copy):
    content = bytearray((copy / WEIGHTS_FILE).read_bytes())
    content[1_000_000] ^= 1
    replace_file(copy / WEIGHTS_FILE, content)
    with pytest.raises(ModelBroken, match=rf"{WEIGHTS_FILE}: its checksum .*earmark model import"):
        verify(copy)


def test_a_truncated_file_is_found(copy):
    replace_file(copy / WEIGHTS_FILE, (copy / WEIGHTS_FILE).read_bytes()[:1_000_000])
    with pytest.raises(ModelBroken, match=rf"{WEIGHTS_FILE}: it is damaged"):
        verify(copy)


def test_weights_in_use_are_no_part_of_the_file_any_more(written, copy):
    """Who writes into the file of a model at work damages the next start, not the results."""
    content = bytearray((written.path / WEIGHTS_FILE).read_bytes())
    replace_file(copy / WEIGHTS_FILE, content)
    weights = load_weights(verify(copy))
    before = {name: tensor.clone() for name, tensor in weights.items()}
    with (copy / WEIGHTS_FILE).open("r+b") as file:
        file.seek(len(content) // 2)
        file.write(bytes(len(content) // 2))
    assert all(torch.equal(weights[name], tensor) for name, tensor in before.items())


@pytest.mark.parametrize("file", ["model.safetensors", "card.json"])
def test_a_missing_file_is_named(copy, file):
    (copy / file).unlink()
    with pytest.raises(ModelBroken, match=rf"{file}: it can't be read \(No such file or directory\)\. Import"):
        verify(copy)


def test_a_folder_that_was_renamed_is_found(copy):
    renamed = copy.rename(copy.parent / "2")
    with pytest.raises(ModelBroken, match="the card of test/1"):
        read_card(renamed)


def test_a_card_that_is_none_is_found(copy):
    replace_file(copy / "card.json", b'{"name": "test"}')
    with pytest.raises(ModelBroken, match="no model card"):
        read_card(copy)


def test_labels_in_another_order_are_refused(copy):
    change_card(copy, labels=sorted(read_card(copy).labels))
    with pytest.raises(ModelBroken, match="its labels or its preprocessing"):
        read_card(copy)


@pytest.mark.parametrize(
    ("tensors", "complaint"),
    [
        ({}, "the tensor classifier.1.bias is missing"),
        ({"classifier.9.bias": torch.zeros(17)}, r"classifier.9.bias has the shape \(17,\), not \(16,\)"),
        ({"classifier.9.bias": torch.zeros(16).half()}, "classifier.9.bias has the type F16"),
        ({"extra.weight": torch.zeros(1)}, "extra.weight does not belong"),
    ],
)
def test_a_wrong_tensor_is_named(written, tmp_path, tensors, complaint):
    # All others are right, unless there are none.
    others = load_weights(written) if tensors else {}
    path = forged_bundle(tmp_path, {**others, **tensors}, written.card)
    with pytest.raises(ModelBroken, match=complaint):
        verify(path)
