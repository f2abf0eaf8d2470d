"""Every declared CUDA kernel compiles for all architectures, and nothing spills. No GPU is needed, but a compiler."""

import pathlib

import pytest

from kernels.cuda import loader, report

FILES = report.declared()


@pytest.fixture
def compiler():
    try:
        report.compiler()
    except RuntimeError as missing:
        pytest.skip(str(missing))


@pytest.mark.long
@pytest.mark.parametrize("arch", report.ARCHITECTURES)
@pytest.mark.parametrize("file", FILES)
def test_compiles_without_spills(file, arch, compiler):
    instances = [instance for kernel in FILES[file] for instance in kernel.instances()]
    usages = report.compiled(file, instances, arch)
    assert {u.instance for u in usages} >= set(instances)
    assert not [u for u in usages if u.spilled]


def test_every_source_is_declared():
    assert set(FILES) == {path.name for path in loader.SOURCES.glob("*.cu")}


def test_the_assembly_compiles(compiler, monkeypatch):
    """The emulator's examples use every instruction of ptx.cuh; here they meet NVIDIA's compiler."""
    examples = pathlib.Path(__file__).parent.parent / "emulator/examples"
    monkeypatch.setattr(report, "OPTIONS", (*report.OPTIONS, f"-I{examples}"))
    types = ("__half", "__nv_bfloat16")
    instances = [f"matmul_16bit<{t}>" for t in types] + [f"copy_valid<{n}>" for n in (4, 8, 16)] + ["matmul_tf32"]
    assert {u.instance for u in report.compiled("examples.cu", instances, "sm_80")} > set(instances)


def test_a_spill_is_seen(compiler, monkeypatch, tmp_path):
    (tmp_path / "spill.cu").write_text(
        "__global__ void __launch_bounds__(1024, 2) spill(const float* x, float* y) { float v[200];\n"
        "#pragma unroll\nfor (int i = 0; i < 200; i++) v[i] = x[i * 7 + threadIdx.x]; __syncthreads();\n"
        "#pragma unroll\nfor (int i = 0; i < 200; i++) y[i * 5 + threadIdx.x] = v[i] + v[(i * 37) % 200]; }\n"
    )
    monkeypatch.setattr(report, "OPTIONS", (*report.OPTIONS, f"-I{tmp_path}"))
    (usage,) = report.compiled("spill.cu", ["spill"], "sm_90")
    assert usage.instance == "spill" and usage.spilled > 0


def test_an_error_names_the_line(compiler, monkeypatch, tmp_path):
    (tmp_path / "wrong.cu").write_text("\n__global__ void wrong() { undefined_name(); }\n")
    monkeypatch.setattr(report, "OPTIONS", (*report.OPTIONS, f"-I{tmp_path}"))
    with pytest.raises(RuntimeError, match=r"wrong.cu\(2\)"):
        report.compiled("wrong.cu", ["wrong"], "sm_90")


def test_an_undeclared_instance_is_refused():
    kernel = loader.Kernel("activation.cu", "relu_forward", loader.FLOATS, loader.FLAGS)
    with pytest.raises(ValueError, match="no instance <int, true>"):
        kernel(("int", True), (1,), (32,))
