"""A recipe, trained with several seeds, beside what its source says of it."""

from pathlib import Path
from statistics import mean, stdev

from .. import recipes
from ..command.errors import UsageError
from ..command.screen import say
from ..runs import Run, Study
from .verdict import judged

ALIKE = {"imagefolder", "shards", "parquet"}  # ways to keep the same images
UNSAID = {  # settings that change what comes out, where a recipe says nothing of them
    "grad_accum": 1, "limit_train_batches": None, "limit_test_batches": None, "val_split": None, "freeze": None,
    "class_weights": None, "mixup_alpha": None, "cutmix_alpha": None, "model_ema": None, "clip_grad_norm": None,
    "patience": None, "tta": False, "skip_bad_images": False, "least_side": None,
}  # fmt: skip


def verify(asked, options):
    """Train the recipe, or take the runs that are given, and say what came out; the exit status."""
    recipe = recipes.find(asked.recipe)
    say(*about(recipe))
    if asked.runs:
        if options:
            raise UsageError(f"{options[0]} has no effect with --runs, whose runs are finished")
        runs = [Run.read(place) for place in asked.runs]
    else:
        runs = trained(recipe, asked, options)
    if runs is None:
        return 1
    check(recipe, runs)
    errors = [error_of(run) for run in runs]
    say(
        *(
            f"run        {error:5.2f} %, seed {run.settings['seed']}: {run.directory}"
            for error, run in zip(errors, runs)
        )
    )
    around = f" +- {stdev(errors):.2f}" if len(errors) > 1 else ""
    say(f"measured   error {mean(errors):.2f}{around} % ({len(errors)} run{'s' * (len(errors) > 1)}, last epochs)")
    word, why = conclusion(recipe, runs, errors)
    say(f"verdict    {word}: {why}", always=True)
    return 1 if word == "worse" else 0


def about(recipe):
    """What is known of the recipe."""
    yield f"recipe     {recipe.identity}: {recipe.source}"
    yield from (f"unlike     {what}" for what in recipe.differs)
    if recipe.error is not None:
        yield f"published  error {figure(recipe)}"
    if recipe.gpu:
        yield "machine    a run takes more than a day on two cores: this recipe needs a GPU (-- --device cuda)"


def figure(recipe):
    around = "" if recipe.spread is None else f" +- {recipe.spread:.2f}"
    return f"{recipe.error:.2f}{around} % ({recipe.runs} run{'s' * (recipe.runs > 1)})"


def trained(recipe, asked, options):
    """The Runs of as many seeds as were asked for; None where one failed."""
    place = asked.output_dir or Path("runs") / f"{recipe.identity.replace('/', '-').replace('@', '-')}"
    study = Study(place, [*(("--data-path", asked.data) if asked.data else ()), *options])
    runs = []
    for seed in range(asked.seeds):
        say(f"seed {seed}, {seed + 1} of {asked.seeds}")
        _, run = study.run(f"seed-{seed}", "--recipe", recipe.name, "--seed", str(seed))
        if run is None:
            say(f"The same command goes on in {place}.")
            return None
        runs.append(run)
    return runs


def check(recipe, runs):
    """UsageError for runs that are not of this recipe, not finished, or of one seed."""
    for run in runs:
        if run.settings.get("recipe") != recipe.identity:
            raise UsageError(f"{run.directory}: its recipe is {run.settings.get('recipe')}, not {recipe.identity}")
        if not run.is_over():
            raise UsageError(f"{run.directory}: not finished, {len(run.records)} of {run.settings['epochs']} epochs")
    seeds = [run.settings["seed"] for run in runs]
    if len(set(seeds)) < len(seeds):
        raise UsageError(f"--runs: two of them have the same seed ({', '.join(map(str, sorted(seeds)))})")


def error_of(run):
    """Per cent of the test images that the net names wrongly after the last epoch."""
    return 100 * (1 - run.records[-1]["test_accuracy"])


def conclusion(recipe, runs, errors):
    """(reproduced, better, worse or "none", why)"""
    if differing := changed(recipe, runs):
        return "none", f"settings are not the recipe's: {', '.join(differing)}"
    if recipe.error is None:
        return "none", "the recipe's source gives no error"
    if recipe.tested is not None:
        return "none", f"the source tests {recipe.tested}, this command on the centre of each, which gives more errors"
    found = judged(errors, recipe.error, recipe.spread, recipe.runs)
    if found is None:
        return "none", "a single run doesn't tell how runs vary; take two seeds or more"
    return found.word, f"{mean(errors):.2f} and {recipe.error:.2f} % may lie {found.margin:.2f} apart by chance"


def changed(recipe, runs):
    """["epochs 1 (recipe: 164)"]: where runs were trained with other settings than the recipe's."""
    wanted = {**UNSAID, **recipe.settings}
    found = {
        f"{name} {value} (recipe: {wanted[name]})"
        for run in runs
        for name in wanted
        if (value := run.settings.get(name)) != wanted[name] and not {value, wanted[name]} <= ALIKE
    }
    return sorted(found)
