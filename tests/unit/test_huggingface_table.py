"""The names of the suite huggingface against upstream's, without torch and without transformers."""

from __future__ import annotations

import subprocess
import sys

import pytest

from harness import catalog
from harness.workloads.huggingface.table import ARCHITECTURES
from matrix.config import load_matrix
from matrix.errors import SelectionError
from matrix.plan import Selection, choose_image, make_plan, selected
from tests.conftest import SOURCE

UPSTREAM = """
AlbertForMaskedLM 8 2 512
AlbertForQuestionAnswering 8 1 512
AllenaiLongformerBase 8 2 1024
BartForCausalLM 8 2 1024
BartForConditionalGeneration 4 1 1024
BertForMaskedLM 32 2 512
BertForQuestionAnswering 32 1 512
BlenderbotForCausalLM 32 8 128
BlenderbotForConditionalGeneration 16 1 128
BlenderbotSmallForCausalLM 256 1 128
BlenderbotSmallForConditionalGeneration 128 1 128
CamemBert 32 1 128
DebertaV2ForMaskedLM 8 4 512
DebertaV2ForQuestionAnswering 8 1 512
DistilBertForMaskedLM 256 2 128
DistilBertForQuestionAnswering 512 1 128
DistillGPT2 32 2 512
ElectraForCausalLM 64 2 512
ElectraForQuestionAnswering 128 1 512
GPT2ForSequenceClassification 8 2 1024
GPTJForCausalLM 1 1 128
GPTJForQuestionAnswering 1 1 128
GPTNeoForCausalLM 32 1 128
GPTNeoForSequenceClassification 32 1 128
GoogleFnet 32 2 512
LayoutLMForMaskedLM 32 2 512
LayoutLMForSequenceClassification 32 1 512
M2M100ForConditionalGeneration 64 4 128
MBartForCausalLM 8 2 1024
MBartForConditionalGeneration 4 1 1024
MT5ForConditionalGeneration 32 2 128
MegatronBertForCausalLM 16 4 512
MegatronBertForQuestionAnswering 16 1 512
MobileBertForMaskedLM 256 2 128
MobileBertForQuestionAnswering 256 1 128
OPTForCausalLM 4 2 2048
PLBartForCausalLM 16 2 1024
PLBartForConditionalGeneration 8 1 1024
PegasusForCausalLM 128 4 128
PegasusForConditionalGeneration 64 1 128
RobertaForCausalLM 32 2 512
RobertaForQuestionAnswering 32 1 512
T5ForConditionalGeneration 8 2 1024
T5Small 8 2 1024
TrOCRForCausalLM 64 2 256
XGLMForCausalLM 32 4 128
XLNetLMHeadModel 16 2 512
YituTechConvBert 32 2 512
meta-llama/Llama-3.2-1B 8 8 1000
google/gemma-2-2b 8 8 1000
google/gemma-3-4b-it 8 8 1000
openai/whisper-tiny 8 8 -
Qwen/Qwen3-0.6B 8 8 1000
mistralai/Mistral-7B-Instruct-v0.3 8 8 1000
openai/gpt-oss-20b 8 8 1000
"""
"""Name, batch size of huggingface_models_list.txt (at 0fb2b95fb850), its divisor in huggingface.yaml (33c040b56dbc), and the sequence length
of huggingface.py (032cbcbbb030) or, of the language models, of huggingface_llm_models.py (36c1971fa84e; Whisper's is a sound of 30 s):
benchmarks/dynamo in pytorch/pytorch."""


@pytest.mark.parametrize("line", UPSTREAM.strip().splitlines())
def test_every_name_of_upstream_is_there_in_its_size(line: str) -> None:
    name, batch, divisor, length = line.split()
    large = ARCHITECTURES[name].large
    assert large.batch == max(1, int(batch) // int(divisor))
    assert length in {"-", str(large.length)}


def test_what_upstream_does_not_have_is_little_and_named() -> None:
    ours = set(ARCHITECTURES) - {line.split()[0] for line in UPSTREAM.strip().splitlines()}
    decoders = {
        f"{model}_{stage}" for model in ("LlamaForCausalLM", "Qwen3ForCausalLM", "GPT2LMHeadModel") for stage in ("prefill", "decode")
    }
    assert ours == {"ViTForImageClassification", "LlamaForCausalLM", "Qwen3ForCausalLM"} | decoders


def test_the_host_plans_without_torch_and_transformers() -> None:
    program = "import sys; sys.modules.update(torch=None, transformers=None); from harness import catalog; print(len(catalog.SUITES['huggingface']))"
    done = subprocess.run([sys.executable, "-c", program], cwd=SOURCE, text=True, capture_output=True, check=True)
    assert int(done.stdout) == len(ARCHITECTURES)


def test_a_suite_of_the_command_line_takes_the_place_of_the_images() -> None:
    matrix = load_matrix(SOURCE / "matrix.toml", SOURCE / "suites")
    assert "huggingface" not in matrix.images["cpu"].suites, "an hour of compiling is run when it is asked for"
    selection = Selection(suites=("huggingface",), backends=("inductor",))
    plan = make_plan(matrix, (choose_image("cpu", matrix, "cpu"),), selection)
    cells = plan.launches[0].cells
    assert [cell.workload for cell in cells] == [f"huggingface/{name}" for name in catalog.SUITES["huggingface"]]
    assert selected(matrix, cells, selection) == list(cells), "of a run that is stored, too"
    assert selected(matrix, cells, Selection(suites=("micro",))) == []
    with pytest.raises(SelectionError, match="unknown suite 'hugingface'; did you mean 'huggingface'"):
        make_plan(matrix, (choose_image("cpu", matrix, "cpu"),), Selection(suites=("hugingface",)))


@pytest.mark.parametrize(
    ("name", "shapes", "precision", "mode", "skipped"),
    [
        ("GPTJForCausalLM", "large", "float32", "inference", True),
        ("GPTJForCausalLM", "small", "float32", "inference", False),
        ("GoogleFnet", "small", "bfloat16", "inference", True),
        ("M2M100ForConditionalGeneration", "large", "float32", "training", True),
        ("BertForMaskedLM", "large", "amp", "training", False),
    ],
)
def test_what_upstream_skips_is_skipped_where_that_holds(name: str, shapes: str, precision: str, mode: str, skipped: bool) -> None:
    matrix = load_matrix(SOURCE / "matrix.toml", SOURCE / "suites")
    selection = Selection(
        only=(f"huggingface/{name}", "micro/softmax"), shapes=(shapes,), precisions=(precision,), modes=(mode,), backends=("eager",)
    )
    plan = make_plan(matrix, (choose_image("cpu", matrix, "cpu"),), selection)
    assert [item.cell.split()[0] for item in plan.excluded] == ([f"huggingface/{name}"] if skipped else [])
