"""Programs as a PyTorch user writes them: each learns something that can be measured."""

import importlib.util
import pathlib

import pytest

HERE = pathlib.Path(__file__).parent
PROGRAMS = sorted(p.stem for p in HERE.glob("*.py") if not p.stem.startswith("test_"))


def program(name):
    spec = importlib.util.spec_from_file_location(name, HERE / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.long
def test_an_autoencoder_keeps_most_of_the_variance():
    assert program("autoencoder").main() < 0.4


@pytest.mark.long
def test_a_unet_finds_discs_and_squares():
    assert program("unet").main() > 0.6


@pytest.mark.long
def test_images_made_by_a_gan_come_near_real_ones():
    before, after = program("dcgan").main()
    assert after < before / 2


@pytest.mark.long
def test_an_mlp_learns_a_function():
    assert program("regression").main() > 0.97


@pytest.mark.long
def test_a_transformer_written_by_hand_names_clothes():
    assert program("transformer").main() > 0.65


@pytest.mark.long
def test_a_frozen_trunk_serves_new_classes():
    right, unchanged = program("transfer").main()
    assert right > 0.8 and unchanged


@pytest.mark.parametrize("name", PROGRAMS)
def test_programs_are_short(name):
    assert sum(bool(line.strip()) for line in (HERE / f"{name}.py").read_text().splitlines()) < 60
