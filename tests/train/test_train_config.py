"""Settings: which layer beats which, what is refused, and that config.toml says all of it."""

import dataclasses
import tomllib

import pytest
from train_runs import TINY, arrays, main, same, train

import architectures
from architectures import registry
from minigrad.command.errors import UsageError
from minigrad.train.arguments import parse, parser
from minigrad.train.config import FIELDS, Config, checked_all, kind, read_toml, to_toml
from minigrad.train.recipe import complete, family, overlay, recipe

KNOWN = dict(arch="resnet20", image_size=28, num_classes=10)
OTHER = {
    "amp": "bf16",
    "recipe": "paper",
    "opt": "adam",
    "lr_scheduler": "step",
    "device": "cuda",
    "kernels": "reference",
}


def resolved(saved=None, file=None, flags=None):
    return complete(KNOWN, [saved or {}, file or {}, flags or {}])


def test_flags_beat_file_beats_resumed_run_beats_recipe():
    assert resolved().lr == recipe("resnet20", 28, "default")["lr"] != 0.3
    assert resolved(saved={"lr": 0.3}).lr == 0.3
    assert resolved(saved={"lr": 0.3}, file={"lr": 0.2}).lr == 0.2
    assert resolved(saved={"lr": 0.3}, file={"lr": 0.2}, flags={"lr": 0.1}).lr == 0.1


def test_the_command_line_gives_both_layers(tmp_path):
    (tmp_path / "a.toml").write_text('lr = 1\nopt = "adam"\n')
    asked = parse(["--config", str(tmp_path / "a.toml"), "-b", "7", "--no-augment", "--resume", "x"])
    assert asked.file == {"lr": 1.0, "opt": "adam"} and asked.flags == {"batch_size": 7, "augment": False}
    assert asked.resume == "x" and not asked.evaluate and not asked.plan


def some_value(field):
    """A value other than the default that passes the field's check."""
    if field.name in OTHER:
        return OTHER[field.name]
    return {bool: not field.default, int: 7, float: 0.25, str: "other"}[kind(field)]


@pytest.mark.parametrize("name", FIELDS)
def test_every_setting_is_a_flag_and_a_toml_key(name, tmp_path):
    value = some_value(FIELDS[name])
    flag = "--" + name.replace("_", "-")
    given = [flag] if value is True else [flag, str(value)]
    assert parse(given).flags == {name: value}
    (tmp_path / "a.toml").write_text(to_toml(dataclasses.replace(Config(), **{name: value})))
    assert read_toml(tmp_path / "a.toml")[name] == value


@pytest.mark.parametrize("flags, name", [
    (["-a", "vgg"], "arch"), (["-j", "2"], "workers"), (["-b", "2"], "batch_size"), (["--wd", "0"], "weight_decay"),
])  # fmt: skip
def test_short_flags(flags, name):
    assert list(parse(flags).flags) == [name]


@pytest.mark.parametrize("values, message", [
    ({"batch_size": 0}, "--batch-size must be at least 1; got 0"),
    ({"lr": float("nan")}, "--lr must be greater than 0; got nan"),
    ({"momentum": 1.0}, "--momentum must be from 0 to below 1"),
    ({"lr": "fast"}, "--lr must be a value of type float; got 'fast'"),
    ({"epochs": 2.5}, "--epochs must be a value of type int; got 2.5"),
    ({"epochs": True}, "--epochs must be a value of type int; got True"),
    ({"opt": "sgdm"}, "--opt must be one of sgd, adam, adamw; got sgdm"),
    ({"batchsize": 3}, "unknown setting 'batchsize'; did you mean batch_size"),
])  # fmt: skip
def test_values_that_are_not_allowed(values, message):
    with pytest.raises(UsageError, match=message):
        checked_all(values)


@pytest.mark.parametrize("flags, message", [
    ({"opt": "adam", "momentum": 0.9}, "--momentum has no effect with --opt adam"),
    ({"lr_step_size": 3}, "--lr-step-size has no effect with --lr-scheduler onecycle"),
    ({"momentum": 0.0}, "--nesterov needs a --momentum above 0"),
    ({"lr_warmup_epochs": 3.0, "epochs": 3}, "--lr-warmup-epochs 3 must be below --epochs 3"),
    ({"device": "cuda", "kernels": "cpu"}, "--kernels cpu can't run on --device cuda"),
    ({"amp": "bf16"}, "--amp bf16 needs a GPU"),
    ({"amp": "fp16", "device": "cuda", "kernels": "reference"}, "--amp fp16 needs a GPU"),
    ({"cuda_graph": True}, "--cuda-graph needs a GPU"),
    ({"cuda_graph": True, "device": "cuda", "detect_anomaly": True}, "--detect-anomaly looks at each op"),
])  # fmt: skip
def test_settings_that_contradict_each_other(flags, message):
    with pytest.raises(UsageError, match=message):
        resolved(flags=flags)


def test_another_optimizer_or_schedule_drops_what_was_set_for_the_old_one():
    config = resolved(file={"momentum": 0.8, "lr": 0.7}, flags={"opt": "adam", "lr_scheduler": "step"})
    assert (config.momentum, config.nesterov, config.lr) == (None, None, 1e-3)
    assert (config.lr_step_size, config.lr_gamma) == (30, 0.1)
    assert overlay({"opt": "adam", "lr_scheduler": "cosine", "lr": 1e-3}, {"opt": "sgd"})["momentum"] == 0.9


def test_a_recipe_fits_any_number_of_epochs():
    assert resolved(flags={"epochs": 1}).lr_warmup_epochs == pytest.approx(0.4)


@pytest.mark.parametrize("name", architectures.names())
def test_every_net_has_both_recipes(name):
    for which in ("default", "paper"):
        for size in (28, 224):
            Config(**recipe(name, size, which))


def test_families():
    expected = {"googlenet_small": "googlenet", "lenet5": "lenet", "preact_resnet20": "resnet", "plain34": "resnet",
                "inception_v4": "googlenet", "densenet_bc_40_12": "densenet", "vgg_small_bn": "vgg"}  # fmt: skip
    assert {name: family(name) for name in expected} == expected


def test_a_net_of_ones_own_trains_with_the_general_recipe_and_says_so(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(registry, "VARIANTS", dict(registry.VARIANTS))
    architectures.register("mobilenet_v1", registry.find("lenet5")._replace(family=None))
    assert family("mobilenet_v1") is None and family("lenet5") == "lenet"
    assert train(tmp_path, "-a", "mobilenet_v1", "--plan") == 0
    out = capsys.readouterr().out
    assert "mobilenet_v1 has no recipe of its own: it trains with the general one" in out and "10 epochs" in out
    with pytest.raises(UsageError, match="mobilenet_v1 has no recipe of a paper"):
        recipe("mobilenet_v1", 28, "paper")
    with pytest.raises(ValueError, match="there is an architecture 'mobilenet_v1' already"):
        architectures.register("mobilenet_v1", registry.find("lenet5"))


def test_the_papers_recipes():
    config = complete({**KNOWN, "arch": "densenet_40_12"}, [{"recipe": "paper"}])
    assert (config.epochs, config.batch_size, config.lr, config.nesterov) == (300, 64, 0.1, True)
    config = complete({**KNOWN, "arch": "vgg16", "image_size": 224}, [{"recipe": "paper"}])
    assert (config.batch_size, config.lr, config.momentum, config.weight_decay) == (256, 0.01, 0.9, 5e-4)


def test_a_configuration_survives_its_file(tmp_path):
    config = Config(arch="vgg", data_path='a "quoted" \\ path é', download=True, lr=1e-5, epochs=3)
    (tmp_path / "config.toml").write_text(to_toml(config), encoding="utf-8")
    assert Config(**read_toml(tmp_path / "config.toml")) == config


def test_config_toml_repeats_the_run(tmp_path):
    assert train(tmp_path / "a", "-a", "lenet5", *TINY, "--seed", 3) == 0
    assert main(["--config", str(tmp_path / "a/config.toml"), "--output-dir", str(tmp_path / "b")]) == 0
    same(arrays(tmp_path / "a"), arrays(tmp_path / "b"))
    written = [tomllib.loads((tmp_path / run / "config.toml").read_text()) for run in "ab"]
    assert written[0] == written[1] and written[0]["seed"] == 3 and written[0]["image_size"] == 28


def test_help_names_every_setting():
    text = parser().format_help()
    assert all("--" + name.replace("_", "-") in text for name in FIELDS)


@pytest.mark.parametrize("flags", [
    ["--plan"], ["--output-dir", "x"], ["--lr", "1"], ["--epochs", "3"], ["--no-augment"], ["--seed", "3"],
    ["--amp", "bf16"], ["--model-ema", "0.9"], ["--cuda-graph"], ["--opt", "sgd"],
    ["--print-freq", "3"], ["--limit-train-batches", "3"],
])  # fmt: skip
def test_what_has_no_effect_on_a_test_is_refused_with_evaluate(flags):
    with pytest.raises(UsageError, match=f"{flags[0].replace('--no-', '--')} has no effect with --evaluate"):
        parse(["--evaluate", "--resume", "x", *flags])


def test_what_a_test_depends_on_is_taken_with_evaluate():
    flags = ["-b", "7", "-j", "0", "--limit-test-batches", "3", "--kernels", "reference", "--amp", "tf32"]
    assert parse(["--evaluate", "--resume", "x", *flags]).evaluate
