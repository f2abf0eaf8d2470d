"""What may have been meant by a name that doesn't exist."""

import difflib

LIKENESS = 0.65  # of two names, from 0 to 1: above it they may be the same one misspelt
ALIASES = {  # what it is called here: what other programs call it
    "lr": "learning-rate lrate", "arch": "model net network", "data": "dataset", "data-path": "data-dir data-root root",
    "workers": "num-workers", "batch-size": "bs", "opt": "optimizer optim", "lr-scheduler": "scheduler schedule",
    "lr-warmup-epochs": "warmup warmup-epochs", "model-ema": "ema", "resume": "checkpoint ckpt load",
    "device": "gpu cuda", "amp": "fp16 bf16 mixed-precision", "evaluate": "eval test val validate", "plan": "dry-run",
    "output-dir": "output out save-dir", "image-size": "img-size imgsz", "num-classes": "classes",
    "mixup-alpha": "mixup", "cutmix-alpha": "cutmix", "clip-grad-norm": "clip-grad grad-clip", "seed": "random-seed",
    "grad-accum": "accum-steps gradient-accumulation grad-accum-steps", "val-split": "validation-split",
    "find-lr": "lr-finder lr-find", "quiet": "silent", "keep-last": "save-total-limit", "patience": "early-stopping",
    "print-freq": "log-interval", "freeze": "frozen freeze-layers", "label-smoothing": "smoothing",
}  # fmt: skip
OURS = {alias: name for name, aliases in ALIASES.items() for alias in aliases.split()}


def nearest(name, known):
    """'; did you mean x or y?', or nothing if no known name is like it. Dashes and underscores count for nothing."""
    plain = {k.lstrip("-").replace("_", "-"): k for k in known}
    asked = name.lstrip("-").replace("_", "-")
    near = [OURS[asked]] if asked in OURS else difflib.get_close_matches(asked, plain, n=3, cutoff=LIKENESS)
    found = [plain[other] for other in near if other in plain]
    return f"; did you mean {' or '.join(found)}?" if found else ""
