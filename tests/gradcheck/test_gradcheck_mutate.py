"""Mutation testing: what is mutated, what is noticed, what the command says."""

import ast
import subprocess
import sys

import numpy as np
import pytest
from op_table import CASES, EXPLAINED

import kernels.reference
import minigrad as mg
from minigrad import op, ops
from minigrad.gradcheck import Case
from minigrad.gradcheck.__main__ import main
from minigrad.gradcheck.mutation.campaign import SURVIVED, Judge, campaign, subjects
from minigrad.gradcheck.mutation.mutants import mutants
from minigrad.gradcheck.mutation.mutations import alternatives
from minigrad.gradcheck.mutation.regions import regions
from minigrad.gradcheck.problem import written_op


def verdicts(cases, explained=()):
    with mg.use_kernels("reference"):
        judge = Judge()
        return [v for s in subjects(cases, kernels.reference) for v in campaign(s, judge, explained)]


@pytest.mark.long
def test_the_checks_notice_every_change_of_every_backward():
    """What `python -m minigrad.gradcheck --mutate` runs. An op's own cases need not see all that it calls."""
    found = verdicts(CASES, EXPLAINED)
    assert len(found) > 1500
    assert [str(v) for v in found if v.fate == SURVIVED and v.why is None] == []
    assert {text for _, text in EXPLAINED} == {v.why for v in found if v.why is not None}  # none is out of date


@pytest.mark.parametrize(
    "before, after",
    [
        ("a + b", {"a - b", "a", "b"}),
        ("a @ b", {"a", "b", "b @ a"}),
        ("-a", {"a"}),
        ("a > b", {"a >= b", "a < b"}),
        ("x[1:n]", {"x[:n]", "x[1 + 1:n]", "x[1:]", "x[1:n + 1]", "x[2:n]", "x[0:n]"}),
        ("x.sum(0)", {"x.mean(0)", "x", "x.sum(1)", "x.sum(-1)"}),
        ("x.transpose(0, 2)", {"x", "x.transpose(2, 0)", "x.transpose(1, 2)", "x.transpose(-1, 2)",
                               "x.transpose(0, 3)", "x.transpose(0, 1)"}),
        ("f(x, keepdims=True)", {"f(x)", "f(x, keepdims=False)"}),
        ("a if c else b", {"a", "b"}),
        ("a if c else None", {"None"}),
        ("maximum(a, 0)", {"maximum(a, 1)", "maximum(a, -1)"}),
    ],
)  # fmt: skip
def test_changes_of_an_expression(before, after):
    assert {ast.unparse(t) for t in changed_everywhere(ast.parse(before, mode="eval").body)} == after


def changed_everywhere(tree):
    """The tree with each alternative of each of its nodes in place."""
    yield from alternatives(tree)
    for name, value in ast.iter_fields(tree):
        for i, child in enumerate(value if isinstance(value, list) else [value]):
            for other in changed_everywhere(child) if isinstance(child, ast.AST) else ():
                new = [*value[:i], other, *value[i + 1 :]] if isinstance(value, list) else other
                yield ast.fix_missing_locations(type(tree)(**{**dict(ast.iter_fields(tree)), name: new}))


def test_the_backward_pass_reaches_into_the_kernels():
    names = {r.function.__name__ for r in regions(written_op(ops.batch_norm), kernels.reference)}
    assert {"normalise", "batch_norm_backward", "batch_norm_apply_backward", "channel_sum"} <= names
    assert not any(n.endswith("_forward") for n in names)


def test_what_the_backward_pass_calls_beside_it_belongs_to_it():
    """elu's slope(x) is an inner function of its own; curve(x) is the forward pass's."""
    (region,) = [r for r in regions(written_op(ops.elu), kernels.reference) if r.function.__name__ != "elu"]
    assert [piece.name for piece in region.pieces if hasattr(piece, "name")] == ["backward", "slope"]


def test_a_mutant_lives_in_its_block_only():
    x = np.arange(3.0)
    (region,) = [r for r in regions(written_op(ops.neg), kernels.reference) if r.function.__name__ == "neg"]
    mutant = next(mutants(region))
    before = ops.neg.__wrapped__.__code__
    with pytest.raises(ZeroDivisionError), mutant.living():
        assert ops.neg.__wrapped__.__code__ is not before
        raise ZeroDivisionError
    assert ops.neg.__wrapped__.__code__ is before and ops.neg(mg.Tensor(x)).data[1] == -1


@op
def scaled_sum(ctx, x, s):
    """y = s sum x"""

    def backward(dy):
        return np.broadcast_to(dy * s, x.shape), dy * x.sum()

    return s * x.sum(), backward


def test_a_hole_in_the_cases_is_shown():
    """With x of one element the sum over x is never tested."""
    hole = [str(v.mutant) for v in verdicts([Case(scaled_sum, ((1,), ()))]) if v.fate == SURVIVED]
    assert [text for text in hole if "x.mean()" in text] == ["scaled_sum: dy * x.sum() -> dy * x.mean()"]
    assert not [v for v in verdicts([Case(scaled_sum, ((3,), ()))]) if v.fate == SURVIVED and "mean" in str(v)]


CASES_OF_A_USER = '''
from minigrad import op
from minigrad.gradcheck import Case

@op
def square(ctx, x):
    """y = x^2"""
    return x * x, lambda dy: (2 * x * dy,)

CASES = [Case(square, ((2, 3),))]
'''


@pytest.fixture
def user_cases(tmp_path):
    (tmp_path / "my_ops_under_test.py").write_text(CASES_OF_A_USER)
    return tmp_path / "my_ops_under_test.py"


def command(*arguments):
    done = subprocess.run(
        [sys.executable, "-m", "minigrad.gradcheck", *map(str, arguments)], capture_output=True, text=True
    )
    assert "Traceback" not in done.stderr
    return done


def test_the_command_on_the_cases_of_a_user(user_cases):
    assert command("--cases", user_cases).stdout == "1 cases, 0 of them wrong\n"
    source = user_cases.read_text()
    done = command("--mutate", "--cases", user_cases)
    assert done.returncode == 0 and "my_ops_under_test.square" in done.stdout and "SURVIVED" not in done.stdout
    assert user_cases.read_text() == source


def test_the_command_on_a_wrong_op(user_cases):
    user_cases.write_text(CASES_OF_A_USER.replace("2 * x * dy", "x * dy"))
    done = command("--cases", user_cases)
    assert done.returncode == 1 and "constant factor" in done.stdout


def test_survivors_make_the_exit_status(capsys, monkeypatch, tmp_path):
    (tmp_path / "with_a_hole.py").write_text(CASES_OF_A_USER.replace("2 * x * dy", "2 * x * dy + 0 * x"))
    monkeypatch.syspath_prepend(tmp_path)
    assert main(["--mutate", "--cases", "with_a_hole"]) == 1
    assert "SURVIVED" in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments, says",
    [
        (["softmin"], "no case of softmin; there are "),
        (["--cases", "nowhere.py"], "--cases: there is no file nowhere.py"),
    ],
)
def test_wrong_arguments(arguments, says, capsys):
    assert main(arguments) == 2
    assert says in capsys.readouterr().err


@pytest.mark.long
@pytest.mark.parametrize("name", ["conv2d", "add"])
def test_some_ops_alone_leave_no_more_survivors_than_all(name, capsys):
    """What only other ops run is not mutated; what they share is judged by the cases of both."""
    assert main(["--mutate", name]) == 0
    text = capsys.readouterr().out
    assert "SURVIVED" not in text and "killed" in text
    assert "relu_backward" not in text


def test_what_no_case_runs_at_all_is_still_a_hole():
    cases = [c for c in CASES if c.op is ops.conv2d][:1]
    with mg.use_kernels("reference"):
        names = {s.region.function.__name__ for s in subjects(cases, kernels.reference)}
        among_all = {s.region.function.__name__ for s in subjects(cases, kernels.reference, CASES)}
    assert "relu_backward" in names and "relu_backward" not in among_all and "convolve" in among_all
