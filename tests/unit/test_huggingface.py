"""The suite huggingface: every name builds, gives finite results and trains; generation is what the model does without a cache."""

from __future__ import annotations

import copy
import dataclasses
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
import torch._dynamo.testing
import transformers

from harness.cell import Cell, LaunchSpec, Sampling
from harness.files import read_fields
from harness.launch import modules_of
from harness.protocols import Subject, Unsupported
from harness.workloads.huggingface import workload
from harness.workloads.huggingface.generation import Generating
from harness.workloads.huggingface.table import ARCHITECTURES
from harness.workloads.huggingface.workload import HuggingFace, build
from harness.workloads.subjects import NO_DROPOUT
from tests.conftest import SOURCE

PUBLISHED = {
    "meta-llama/Llama-3.2-1B": 1_235_814_400,
    "Qwen/Qwen3-0.6B": 596_049_920,
    "google/gemma-2-2b": 2_614_341_888,
    "mistralai/Mistral-7B-Instruct-v0.3": 7_248_023_552,
    "openai/gpt-oss-20b": 20_914_757_184,
    "openai/whisper-tiny": 37_760_640,
    "GPT2LMHeadModel_decode": 124_439_808,
    "DistillGPT2": 81_912_576,
    "T5Small": 60_506_624,
}
"""Weights of the models whose configurations are written out or are the class' defaults, by their cards on the hub (a shared one counts once)."""


@pytest.fixture
def poisoned_memory() -> Iterator[None]:
    """Memory that nobody has written to reads as NaN."""
    torch.use_deterministic_algorithms(True, warn_only=True)
    assert torch.utils.deterministic.fill_uninitialized_memory  # type: ignore[attr-defined]  # torch's own default
    yield
    torch.use_deterministic_algorithms(False)


def load(name: str, mode: str = "inference", precision: str = "float32", batch_size: int | None = None) -> Subject:
    return HuggingFace(ARCHITECTURES[name]).load(
        device="cpu", precision=precision, mode=mode, shapes="small", batch_size=batch_size, seed=1
    )


@pytest.mark.parametrize("name", ARCHITECTURES)
@pytest.mark.usefixtures("poisoned_memory")
def test_every_name_builds_and_gives_finite_results(name: str) -> None:
    generates = ARCHITECTURES[name].generates
    subject = load(name, "inference" if generates else "training")
    assert all(bool(torch.isfinite(weights).all()) for weights in subject.model.state_dict().values()), "every weight is drawn"
    outputs = subject.model(*subject.inputs)
    found = outputs if isinstance(outputs, tuple) else (outputs,)
    assert all(bool(torch.isfinite(each).all()) for each in found)
    assert all(float(each.detach().std()) > 1e-3 for each in found if each.dim() > 1), "a constant could be compared with anything"
    if generates:
        return
    assert subject.loss is not None
    subject.loss(outputs).backward()  # type: ignore[no-untyped-call]
    gradients = [parameter.grad for parameter in subject.model.parameters() if parameter.grad is not None]
    assert len(gradients) > 0.6 * len(list(subject.model.parameters())), "a decoder alone has no use for what attends to an encoder"
    assert all(bool(torch.isfinite(gradient).all()) for gradient in gradients)


@pytest.mark.parametrize("name", PUBLISHED)
def test_large_is_the_model_of_that_name(name: str) -> None:
    architecture = ARCHITECTURES[name]
    with torch.device("meta"):
        model = build(architecture, architecture.large.configuration)
    assert sum(parameter.numel() for parameter in model.parameters()) == PUBLISHED[name]


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_sequences_are_no_longer_than_positions(name: str) -> None:
    """Beyond them a CPU raises, and a GPU reads what is there."""
    architecture = ARCHITECTURES[name]
    # Positions of these begin after the token of padding.
    first = 2 if architecture.family in {"roberta", "camembert", "longformer"} else 0
    for size in (architecture.large, architecture.small):
        config = getattr(transformers, architecture.model).config_class(**size.configuration)
        limit = getattr(config, "max_target_positions", None) or getattr(config, "max_position_embeddings", None)
        if limit is not None and limit > 0:
            assert first + max(size.length, size.cache) <= limit


def test_no_call_finds_out_what_the_next_goes_by() -> None:
    """A second call that differs in anything is compiled anew; a word to the log breaks the graph."""
    for name in ("ViTForImageClassification", "GPT2ForSequenceClassification", "DistillGPT2"):
        subject = load(name)
        torch._dynamo.reset()
        counts = torch._dynamo.testing.CompileCounter()
        compiled = torch.compile(subject.model, backend=counts, fullgraph=True)
        with torch.no_grad():
            for _ in range(2):
                compiled(*subject.inputs)
        assert counts.frame_count == 1, name


def test_dropout_is_computed_and_drops_nothing() -> None:
    subject = load("BertForMaskedLM", "training")
    dropouts = [module.p for module in subject.model.modules() if isinstance(module, torch.nn.Dropout)]
    assert dropouts
    assert set(dropouts) == {NO_DROPOUT}
    first, second = (subject.model(*subject.inputs)[1] for _ in range(2))
    assert torch.equal(first, second)


def test_the_same_seed_makes_the_same_subject() -> None:
    one, other = load("T5Small"), load("T5Small")
    assert all(torch.equal(a, b) for a, b in zip(one.inputs, other.inputs, strict=True))
    state = other.model.state_dict()
    assert all(torch.equal(weights, state[key]) for key, weights in one.model.state_dict().items())


@pytest.mark.parametrize("precision", ["float16", "bfloat16"])
def test_half_precision_is_finite(precision: str) -> None:
    for name in ("BertForMaskedLM", "MT5ForConditionalGeneration", "meta-llama/Llama-3.2-1B"):
        subject = load(name, precision=precision)
        with torch.no_grad():
            assert all(bool(torch.isfinite(each).all()) for each in subject.model(*subject.inputs))


@pytest.mark.parametrize("model", ["LlamaForCausalLM", "Qwen3ForCausalLM", "GPT2LMHeadModel"])
def test_generation_with_the_cache_is_the_model_without_it(model: str) -> None:
    """A prompt of 8 and one more token, against all nine at once; in float64, so that what the cache holds was cast with the model."""
    generating = load(f"{model}_prefill").model
    assert isinstance(generating, Generating)
    decoder = generating.model
    texts = torch.randint(4, 1024, (2, 9))
    reading = Generating(decoder, batch=2, length=16, before=0).double()
    making = Generating(decoder, batch=2, length=16, before=8).double()
    with torch.no_grad():
        whole = decoder(input_ids=texts).logits
        read = reading(texts[:, :8])
        for key, buffer in reading.named_buffers(recurse=False):
            if key != "before":
                making.get_buffer(key).copy_(buffer)
        made = [making(texts[:, 8:]) for _ in range(2)]
    torch.testing.assert_close(read, whole[:, 7:8])
    torch.testing.assert_close(made[0], whole[:, 8:])
    assert torch.equal(made[0], made[1]), "any number of calls do the same"


def test_the_cache_goes_where_its_model_goes() -> None:
    """A copy of its own for the backend and for float64: in-place work of one must not reach the other."""
    model = load("LlamaForCausalLM_decode").model
    copied = copy.deepcopy(model).double()
    assert isinstance(model, Generating)
    assert isinstance(copied, Generating)
    for each, dtype in ((model, torch.float32), (copied, torch.float64)):
        for index, layer in enumerate(each.cache.layers):
            assert layer.keys is each.get_buffer(f"keys_{index}")
            assert layer.values is each.get_buffer(f"values_{index}")
            assert layer.keys.dtype == dtype
            assert layer.cumulative_length is each.get_buffer("before")
    assert copied.get_buffer("keys_0").data_ptr() != model.get_buffer("keys_0").data_ptr()


def test_what_the_image_lacks_is_unsupported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(Unsupported, match="transformers"):
        load("BertForMaskedLM")


def test_a_class_that_another_version_lacks_is_unsupported() -> None:
    architecture = dataclasses.replace(ARCHITECTURES["BertForMaskedLM"], model="BertForNothing")
    with pytest.raises(Unsupported, match=r"transformers .* has no BertForNothing"):
        build(architecture, {})


def test_other_shapes_and_names_are_refused() -> None:
    with pytest.raises(ValueError, match="small and large"):
        HuggingFace(ARCHITECTURES["BertForMaskedLM"]).load(
            device="cpu", precision="float32", mode="inference", shapes="huge", batch_size=None, seed=1
        )
    with pytest.raises(AttributeError, match="has no 'Bert'"):
        _ = workload.Bert
    with pytest.raises(Unsupported, match="no training mode"):
        load("LlamaForCausalLM_decode", "training")


def spec(*names: str) -> LaunchSpec:
    cells = tuple(Cell(workload=f"huggingface/{name}", backend="dynamo:eager") for name in names)
    sampling = Sampling(samples=3, width=1.0, budget_seconds=0.2)
    return LaunchSpec(
        run="r",
        launch=0,
        attempt=0,
        image="i",
        cells=cells,
        seed=1,
        timeout_seconds=300,
        sampling=sampling,
        measure_ceilings=False,
        warm_compile=False,
    )


def test_a_launch_imports_an_architecture_once_and_only_those_of_its_cells() -> None:
    modules = modules_of(spec("BertForMaskedLM", "BertForQuestionAnswering", "T5Small"))
    found = [name for name in modules if name.startswith("transformers.models.")]
    assert found == ["transformers.models.bert.modeling_bert", "transformers.models.t5.modeling_t5"]


def test_a_launch_has_rows_of_models_and_of_generation(tmp_path: Path) -> None:
    (tmp_path / "cells.json").write_text(spec("BertForQuestionAnswering", "LlamaForCausalLM_prefill", "LlamaForCausalLM_decode").to_json())
    command = [sys.executable, "-m", "harness", "launch", "--cells", str(tmp_path / "cells.json"), "--out", str(tmp_path)]
    done = subprocess.run(command, cwd=SOURCE, text=True, capture_output=True, check=True)
    assert "not preloaded" not in done.stdout
    bert, prefill, decode = read_fields(tmp_path / "results.csv")
    assert [row["status"] for row in (bert, prefill, decode)] == ["pass"] * 3, [row["reason"] for row in (bert, prefill, decode)]
    assert (bert["batch_size"], bert["tokens"], bert["tokens_per_second"], bert["time_to_first_token_seconds"]) == ("2", "", "", "")
    assert (prefill["tokens"], decode["tokens"]) == ("32", "1")
    assert prefill["time_to_first_token_seconds"] == prefill["backend_latency_seconds"]
    assert decode["time_to_first_token_seconds"] == ""
    for row in (prefill, decode):
        assert float(row["tokens_per_second"]) == pytest.approx(int(row["tokens"]) / float(row["backend_latency_seconds"]))
        assert float(row["eager_tokens_per_second"]) == pytest.approx(int(row["tokens"]) / float(row["eager_latency_seconds"]))
