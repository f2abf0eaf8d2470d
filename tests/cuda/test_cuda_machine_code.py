"""The main loops of the convolutions in machine code: how many of their instructions are tensor cores' products.

Beside the registers (test_cuda_compile.py): without a GPU, what tells most about a loop's speed.
benchmarks/results/cuda_loops.md has the counts.
"""

import pytest

from kernels.cuda import machine_code, report

BUDGET = {  # the least share of products; as measured, with a tenth left for another version of the compiler
    ("conv_gather.cu", "conv_gather<__nv_bfloat16, true, 128, 128, 16>"): 0.9 * 32 / 182,
    ("conv_gather.cu", "conv_gather<float, true, 128, 128, 16>"): 0.9 * 32 / 320,
    ("conv_weight.cu", "conv_weight<__nv_bfloat16, true, 128, 128, 16>"): 0.9 * 32 / 322,
    ("conv_weight.cu", "conv_weight<float, true, 128, 128, 16>"): 0.9 * 32 / 444,
}
LISTING = """
.L_x_1:
        /*0010*/                   LDSM.16.M88.4 R4, [R0] ;
.L_x_2:
        /*0020*/                   HMMA.16816.F32 R8, R4, R6, R8 ;
        /*0030*/              @!P0 BRA `(.L_x_2) ;
        /*0040*/               @P1 LDG.E R2, [R2.64] ;
        /*0050*/                   HMMA.16816.F32 R8, R4, R6, R8 ;
        /*0060*/                   BRA `(.L_x_1) ;
        /*0070*/                   BRA `(.L_x_3) ;
.L_x_3:
        /*0080*/                   EXIT ;
"""


@pytest.fixture
def tools():
    """Compiler and disassembler."""
    if report.nvrtc() is None:
        pytest.skip("no NVRTC: pip install nvidia-cuda-nvrtc nvidia-cuda-runtime")
    try:
        machine_code.disassembler()
    except RuntimeError as missing:
        pytest.skip(str(missing))


@pytest.mark.long
@pytest.mark.parametrize("file, instance", BUDGET)
def test_products_have_their_share_of_the_main_loop(file, instance, tools):
    loop = machine_code.main_loop(file, instance, "sm_90")
    assert loop.products == 32, "each warp's part of a step"
    assert loop.products / loop.instructions >= BUDGET[file, instance], loop


def test_loops_of_a_listing():
    assert machine_code.loops_in(LISTING)[1:] == [(1, 2), (2, 6)]


def test_without_a_disassembler_an_error_says_what_to_install(monkeypatch):
    monkeypatch.setattr(report, "folders", lambda name: [])
    monkeypatch.setattr(machine_code.shutil, "which", lambda name: None)
    with pytest.raises(RuntimeError, match="pip install nvidia-cuda-nvdisasm"):
        machine_code.disassembler()
