"""`python -m minigrad.verify`: does a recipe give what its paper says, and how often are published weights right?

Exit status: 0 measured, 1 another result than the known one (of a recipe: a worse one), 2 a wrong call or file.
"""

import sys

from ..command.arguments import Parser, check_counts, parted
from ..command.errors import UsageError
from ..command.screen import concluded, writing
from ..data import DataError

EXAMPLES = """examples:
  python -m minigrad.verify practical/vgg-fashion-10k --seeds 3
  python -m minigrad.verify paper/resnet20-cifar10 --seeds 3 --data ~/.cache/minigrad/data -- --device cuda
  python -m minigrad.verify paper/resnet20-cifar10 --runs runs/a runs/b
  python -m minigrad.verify --weights resnet20-12fca82f.th --data ~/.cache/minigrad/data
  python -m minigrad.verify --weights resnet50-0676ba61.pth --data imagenet/val --images 1000

What stands after -- is for python -m minigrad.train; its --list-recipes names the recipes.
"""
OF_WEIGHTS, OF_RECIPES = ("arch", "images", "batch_size"), ("seeds", "runs", "output_dir")
SEEDS, BATCH = 3, 64


def parser():
    top = Parser(
        "verify",
        "RECIPE [option ...] [-- option of training ...]  |  --weights NAME_OR_FILE --data DIR [option ...]",
        description="Measure the error of a recipe, or the accuracy of weights, beside the published one.",
        epilog=EXAMPLES,
    )
    top.add_argument("recipe", nargs="?", metavar="RECIPE", help="what to train")
    top.add_argument("--data", metavar="DIR", help="CIFAR's files, or a folder with train/ and val/CLASS/*.jpg")
    recipe = top.add_argument_group("of a recipe")
    recipe.add_argument("--seeds", type=int, metavar="N", help=f"runs, with seeds from 0 (default: {SEEDS})")
    recipe.add_argument("--runs", nargs="+", metavar="DIR", help="take these finished runs, and train none")
    recipe.add_argument("--output-dir", metavar="DIR", help="where the runs go, and go on (default: runs/RECIPE)")
    weights = top.add_argument_group("of weights")
    weights.add_argument("--weights", metavar="NAME", help="of architectures.weights(), or a file")
    weights.add_argument("-a", "--arch", metavar="NAME", help="the net, where the file does not tell")
    weights.add_argument("--images", type=int, metavar="N", help="only so many, spread over the data (default: all)")
    weights.add_argument("-b", "--batch-size", type=int, metavar="N", help=f"images at a time (default: {BATCH})")
    return top


def main(argv=None):
    """Run the command with these arguments (those of the process, if None); the exit status."""
    return concluded("minigrad.verify", lambda: verify(argv), ValueError, OSError, MemoryError, DataError)


def verify(argv):
    own, options = parted(argv)
    with writing():
        asked = parser().parse_args(own)
    check(asked, options)
    if asked.recipe is not None:
        from .recipes import verify as verify_recipe

        asked.seeds = asked.seeds or SEEDS
        return verify_recipe(asked, options)
    from .weights import verify as verify_weights

    asked.batch_size = asked.batch_size or BATCH
    return verify_weights(asked)


def check(asked, options):
    """UsageError for what is missing, empty, too little, or has no effect on what was asked for."""
    if "" in vars(asked).values() or "" in (asked.runs or ()):
        raise UsageError("RECIPE, --weights, --data, --arch, --runs and --output-dir must not be empty")
    if (asked.recipe is None) == (asked.weights is None):
        raise UsageError("give a RECIPE (train --list-recipes names them) or --weights, one of the two")
    check_counts(asked, "images", "batch_size", "seeds")
    idle, subject = (OF_RECIPES, "--weights") if asked.recipe is None else (OF_WEIGHTS, "a recipe")
    for name in idle:
        if getattr(asked, name) is not None:
            raise UsageError(f"--{name.replace('_', '-')} has no effect with {subject}")
    if asked.recipe is None and (asked.data is None or options):
        raise UsageError("--weights needs --data DIR, and nothing after --")
    for name in ("seeds", "output_dir", "data"):
        if asked.runs and getattr(asked, name) is not None:
            raise UsageError(f"--{name.replace('_', '-')} has no effect with --runs, whose runs are finished")


if __name__ == "__main__":
    sys.exit(main())
