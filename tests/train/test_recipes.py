"""Recipes by name: complete, of settings that exist, noted by the runs that use them, and beaten by flags."""

import json
import tomllib

import pytest
from train_runs import main, train

from minigrad import recipes
from minigrad.command.errors import UsageError
from minigrad.recipes import catalog
from minigrad.train.arguments import Command
from minigrad.train.config import Config, checked_all
from minigrad.train.recipe import complete
from minigrad.train.setup import set_up

PAPERS = {  # per cent of error, as the papers print them
    "alexnet-imagenet": 42.9, "vgg16-imagenet": 27.0, "vgg19-imagenet": 27.3, "googlenet-imagenet": 31.3,
    "resnet50-imagenet": 22.85, "resnet20-cifar10": 8.75, "resnet110-cifar10": 6.61, "resnet1202-cifar10": 7.93,
    "densenet-bc-100-12-cifar10": 4.51, "densenet-bc-190-40-cifar100": 17.18, "densenet264-imagenet": 22.15,
}  # fmt: skip
SMALL = "practical/alexnet-fashion-10k"


@pytest.mark.parametrize("name", recipes.names())
def test_a_recipe_says_all_that_a_run_needs(name):
    """Its settings exist and fit each other; nothing of the general recipe is left; its file says nothing else."""
    recipe = recipes.find(name)
    settings = checked_all(dict(recipe.settings))
    known = {key: settings.get(key) for key in ("arch", "image_size")} | {"num_classes": 10}
    config = complete(known, [{"recipe": name}])
    assert {key: getattr(config, key) for key in settings} == settings
    decided = {key for key, value in vars(complete(known, [{}])).items() if value is not None}
    from_elsewhere = {key for key, value in vars(Config()).items() if value is not None} | {"num_classes"}
    of_another_schedule = {"lr_step_size", "lr_gamma"}
    assert decided - from_elsewhere - of_another_schedule <= set(settings)
    assert recipe.source and (recipe.error is None or 0 < recipe.error < 50)


def test_the_papers_figures():
    assert {name: recipes.find(f"paper/{name}").error for name in PAPERS} == PAPERS
    assert (recipes.find("paper/resnet110-cifar10").spread, recipes.find("paper/resnet110-cifar10").runs) == (0.16, 5)
    steps = complete({"arch": "resnet20", "image_size": 32, "num_classes": 10}, [{"recipe": "paper/resnet20-cifar10"}])
    assert steps.epochs * (50_000 // steps.batch_size) == pytest.approx(64_000, rel=0.002)


def test_a_recipes_net_and_data_are_defaults_that_flags_beat():
    setup = set_up(Command({"recipe": SMALL, "epochs": 1, "lr": 0.5}, {}), {})
    config = setup.config
    assert (config.arch, config.data, config.epochs, config.lr) == ("alexnet_small", "fashion-mnist-10k", 1, 0.5)
    assert config.weight_decay == 5e-4 and config.lr_warmup_epochs == 0.4
    assert config.recipe == recipes.find(SMALL).identity
    assert "README's table" in setup.notes[0]
    assert set_up(Command({"recipe": SMALL, "arch": "lenet5"}, {}), {}).config.arch == "lenet5"


def test_a_checksum_is_of_all_that_a_recipe_says(monkeypatch):
    recipe = recipes.find(SMALL)
    others = [dict(error=1.0), dict(settings={**recipe.settings, "lr": 1.0}), dict(differs=("x",))]
    identities = {catalog.Recipe(**{**vars(recipe), **other}).identity for other in ({}, *others)}
    assert len(identities) == 4 and recipe.identity in identities


def test_what_a_recipe_needs_and_lacks_is_said(capsys):
    assert main(["--recipe", "paper/resnet110-cifar10", "--plan"]) == 0
    out = capsys.readouterr().out
    assert "needs a GPU" in out and "unlike there: the mean of each channel" in out and "section 4.2" in out
    with pytest.raises(SystemExit):
        main(["--list-recipes"])
    assert capsys.readouterr().out.startswith("paper/alexnet-imagenet ")


@pytest.mark.parametrize(
    "line, said",
    [
        (["--recipe", "paper/resnet20-cifr10"], "got paper/resnet20-cifr10; did you mean paper/resnet20-cifar10"),
        (["--recipe", f"{SMALL}@00000000"], f"this version's is {recipes.find(SMALL).identity}"),
        (["--recipe", "paper/densenet121-imagenet"], "--data imagefolder needs --data-path DIR"),
        (["--recipe", SMALL, "--lr-step-size", "3"], "--lr-step-size has no effect with --lr-scheduler onecycle"),
    ],
)
def test_wrong_lines(line, said, capsys):
    assert main([*line, "--plan"]) == 2
    error = capsys.readouterr().err
    assert said in error and error.count("\n") == 1


def test_a_run_notes_its_recipe_and_goes_on_with_no_other(tmp_path, capsys, monkeypatch):
    settings = ("--recipe", SMALL, "-a", "lenet5", "--limit-train-batches", 2, "--limit-test-batches", 1, "--epochs", 1)
    assert train(tmp_path / "run", *settings) == 0
    noted = tomllib.loads((tmp_path / "run" / "config.toml").read_text())["recipe"]
    assert noted == recipes.find(SMALL).identity
    assert json.loads((tmp_path / "run" / "metrics.jsonl").read_text())["epoch"] == 1
    assert main(["--resume", str(tmp_path / "run"), "--recipe", "paper/resnet20-cifar10"]) == 2
    assert "does not fit the checkpoint, which was made with --recipe practical/" in capsys.readouterr().err
    changed = catalog.Recipe(**{**vars(recipes.find(SMALL)), "error": 1.0})
    monkeypatch.setitem(catalog.all_recipes(), SMALL, changed)
    assert main(["--resume", str(tmp_path / "run"), "--recipe", SMALL, "--epochs", "2"]) == 2
    assert main(["--resume", str(tmp_path / "run"), "--epochs", "2"]) == 0  # all its settings are its own


def test_an_unknown_name_is_a_usage_error():
    with pytest.raises(UsageError, match="--list-recipes names them"):
        recipes.find("paper/lenet")
