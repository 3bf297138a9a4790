"""The suite ``llm``: every workload loads, has the shape of its model, and computes what its definition says, in float64 and by other means."""

from __future__ import annotations

import copy
import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils import _pytree as pytree
from torch.utils.flop_counter import FlopCounterMode

from harness import catalog
from harness.experiments.steps import make_step, results
from harness.protocols import Subject, Unsupported
from harness.workloads.llm import flexible, mixture
from harness.workloads.llm.attention import CausalAttention
from harness.workloads.llm.decoder import DecoderLayer
from harness.workloads.llm.models import DEEPSEEK_V2_LITE, GEMMA_2_9B, LLAMA_3_8B, LLAMA_3_70B, MISTRAL_7B, MIXTRAL_8X7B, QWEN2_5_7B, Model
from harness.workloads.llm.quantized import Int4Linear, Int8Linear
from harness.workloads.llm.sampling import Sampling
from harness.workloads.llm.workload import Part
from harness.workloads.subjects import cast_floating, copy_of
from matrix.config import load_matrix
from matrix.plan import PlannedImage, Selection, make_plan
from tests.conftest import SOURCE

NAMES = sorted(catalog.SUITES["llm"])
PARTS: dict[str, Part] = {name: catalog.load(reference) for name, reference in catalog.SUITES["llm"].items()}  # type: ignore[misc]
WITHOUT_BACKWARD = frozenset({"sliding_window_mistral_7b", "sliding_window_gemma2_9b"})
"""Of flex_attention on a CPU: torch has none (suites/llm.toml)."""


def load(name: str, **changes: Any) -> Subject:
    how = {"device": "cpu", "precision": "float32", "mode": "inference", "shapes": "small", "batch_size": None, "seed": 1}
    return PARTS[name].load(**{**how, **changes})


def exact(name: str) -> Subject:
    """In float64, of the weights and inputs of float32."""
    subject = copy_of(load(name))
    return replace(subject, model=subject.model.to(torch.float64), inputs=cast_floating(subject.inputs, torch.float64))


@torch.no_grad()
def outputs(subject: Subject) -> Any:
    return subject.model(*subject.inputs)


def of(name: str) -> Model:
    return PARTS[name].model.divided()


@pytest.mark.parametrize("name", NAMES)
def test_it_loads_the_same_from_the_same_seed(name: str) -> None:
    first, second, other = load(name), load(name), load(name, seed=2)
    for a, b in zip(pytree.tree_leaves(first.inputs), pytree.tree_leaves(second.inputs), strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=0)
    torch.testing.assert_close(outputs(first), outputs(second))
    assert any(not torch.equal(a, b) for a, b in zip(pytree.tree_leaves(first.inputs), pytree.tree_leaves(other.inputs), strict=True))


@pytest.mark.parametrize("precision", ["float32", "float16", "bfloat16", "amp"])
@pytest.mark.parametrize("mode", ["inference", "training"])
@pytest.mark.parametrize("name", NAMES)
def test_it_runs_in_every_mode_and_precision_that_it_has(name: str, mode: str, precision: str) -> None:
    part = PARTS[name]
    if mode not in part.modes or precision not in part.precisions:
        with pytest.raises(Unsupported):
            load(name, mode=mode, precision=precision)
        return
    subject = load(name, mode=mode, precision=precision)
    step = make_step(subject.model, subject, mode=mode, precision=precision, device="cpu")
    if mode == "training" and name in WITHOUT_BACKWARD:
        with pytest.raises(NotImplementedError, match="does not support backward on CPU"):
            step.run()
        return
    found = results(step)
    for group in ("outputs", "gradients"):
        for leaf in pytree.tree_leaves(found.get(group, ())):
            assert bool(torch.isfinite(leaf).all())
    if mode == "training":
        assert all(float(leaf.abs().max()) > 0 for leaf in pytree.tree_leaves(found["gradients"])), "every weight is trained"
    elif name != "linear_int4_packed_llama3_8b":
        # Tokens that rounding decides between are other tokens.
        near = 0.02 if precision == "float32" else 0.1
        if name.startswith("sampling"):
            return
        torch.testing.assert_close(found["outputs"].double(), outputs(exact(name)), rtol=near, atol=near)


@pytest.mark.parametrize("name", NAMES)
def test_calls_leave_behind_what_the_first_one_did(name: str) -> None:
    """A cache is written at the same places: ten thousand calls are of the same state."""
    subject = load(name)
    step = make_step(subject.model, subject, mode="inference", precision="float32", device="cpu")
    torch.testing.assert_close(results(step), results(step), rtol=0, atol=0)


@pytest.mark.parametrize("name", NAMES)
def test_declared_bytes_are_those_of_what_it_holds(name: str) -> None:
    """Of caches and pools, the part that is used."""
    subject = load(name)
    found = pytree.tree_leaves((subject.inputs, outputs(subject)))
    held = sum(leaf.nbytes for leaf in [*found, *subject.model.parameters(), *subject.model.buffers()])
    assert subject.bytes_moved is not None
    assert subject.bytes_moved <= 1.01 * held
    assert subject.bytes_moved >= (0.1 if name.startswith("paged") else 0.5) * held


@pytest.mark.parametrize("name", [name for name in NAMES if not name.startswith(("sliding", "paged"))])
def test_declared_operations_are_those_torch_counts(name: str) -> None:
    """Where torch counts all: of attention the square, of which a mask needs half; of grouped products and packed weights nothing."""
    subject, sizes = load(name), PARTS[name].small
    with sdpa_kernel(SDPBackend.MATH), torch.no_grad(), FlopCounterMode(display=False) as counter:
        subject.model(*subject.inputs)
    counted, model = counter.get_total_flops(), of(name)
    if "linear_int4_packed" in name:
        counted += 2 * sizes["tokens"] * model.width * model.hidden
    elif name.startswith("moe"):
        counted += 2 * sizes["tokens"] * model.experts_per_token * 3 * model.width * model.hidden
    elif name.startswith(("attention", "decoder", "prefill")):
        counted -= 2 * model.heads * model.head_width * sizes["batch"] * sizes["sequence"] ** 2
    assert (subject.flops or 0) == counted


def test_operations_of_flexible_attention_are_those_of_the_pairs_that_attend() -> None:
    """Torch's counter does not get into it."""
    for name in ("sliding_window_mistral_7b", "sliding_window_gemma2_9b"):
        subject, model = load(name), of(name)
        pairs = sum(min(position + 1, model.window) for position in range(PARTS[name].small["sequence"]))
        assert subject.flops == 4 * model.heads * model.head_width * pairs
    subject, model = load("paged_attention_llama3_8b"), of("paged_attention_llama3_8b")
    assert subject.flops == 4 * model.heads * model.head_width * int(subject.inputs[3].sum())


@pytest.mark.parametrize("model", [LLAMA_3_8B, LLAMA_3_70B, QWEN2_5_7B, MISTRAL_7B, MIXTRAL_8X7B, DEEPSEEK_V2_LITE, GEMMA_2_9B])
def test_a_divided_model_has_the_same_graph(model: Model) -> None:
    small = model.divided()
    assert small.heads / small.kv_heads == model.heads / model.kv_heads
    for width in ("width", "hidden", "vocabulary", "window"):
        assert getattr(small, width) * 16 == getattr(model, width)
    assert small.heads * small.head_width * 16 == model.heads * model.head_width
    assert (small.experts, small.experts_per_token, small.attention_bias) == (model.experts, model.experts_per_token, model.attention_bias)


def test_parameters_are_as_many_as_a_layer_of_the_model_has() -> None:
    """8 030 261 248 of Llama 3 8B: embedding and head, one norm, and 32 layers. Weights are not drawn here, but counted."""
    with torch.device("meta"):
        layer = DecoderLayer(LLAMA_3_8B, CausalAttention(LLAMA_3_8B, 8))
    each = sum(parameter.numel() for parameter in layer.parameters())
    assert 32 * each + 2 * LLAMA_3_8B.vocabulary * LLAMA_3_8B.width + LLAMA_3_8B.width == 8_030_261_248


def heads_of(x: torch.Tensor, layer: torch.nn.Linear, width: int) -> torch.Tensor:
    """(sequence, width of the model) -> (heads, sequence, width of a head), head by head."""
    projected = x @ layer.weight.T + (0 if layer.bias is None else layer.bias)
    return projected.view(len(x), -1, width).transpose(0, 1).clone()


def turned(x: torch.Tensor, position: int, base: float) -> torch.Tensor:
    """One head's vector as complex numbers, each turned by its angle."""
    half = x.shape[-1] // 2
    pairs = torch.complex(x[:half], x[half:])
    angles = position * base ** (-torch.arange(half, dtype=torch.float64) / half)
    found = pairs * torch.polar(torch.ones_like(angles), angles)
    return torch.cat((found.real, found.imag))


def attended(query: torch.Tensor, keys: torch.Tensor, values: torch.Tensor, cap: float = 0.0) -> torch.Tensor:
    """One query of one head, over the keys that it sees."""
    scores = keys @ query / math.sqrt(len(query))
    weights = ((torch.tanh(scores / cap) * cap) if cap else scores).exp()
    return weights @ values / weights.sum()


def attention_of(x: torch.Tensor, layer: Any, model: Model, positions: range) -> torch.Tensor:
    """Of one sequence (sequence, width), token by token and head by head."""
    query, key, value = (heads_of(x, each, model.head_width) for each in (layer.query, layer.key, layer.value))
    for heads in (query, key):
        for head in heads:
            for row, position in enumerate(positions):
                head[row] = turned(head[row].clone(), position, model.rotary_base)
    shared = model.heads // model.kv_heads
    mixed = [
        torch.cat(
            [attended(query[head, row], key[head // shared, : row + 1], value[head // shared, : row + 1]) for head in range(model.heads)]
        )
        for row in range(len(x))
    ]
    output: torch.Tensor = torch.stack(mixed) @ layer.output.weight.T
    return output


def normed(x: torch.Tensor, norm: torch.nn.RMSNorm) -> torch.Tensor:
    return x / (x.square().mean(-1, keepdim=True) + (norm.eps or 0)).sqrt() * norm.weight


def silu(x: torch.Tensor) -> torch.Tensor:
    return x / (1 + torch.exp(-x))


def gelu_tanh(x: torch.Tensor) -> torch.Tensor:
    return x / 2 * (1 + torch.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


def gated(x: torch.Tensor, mlp: Any, model: Model) -> torch.Tensor:
    activation = gelu_tanh if model.activation == "gelu_tanh" else silu
    output: torch.Tensor = (activation(x @ mlp.gate.weight.T) * (x @ mlp.up.weight.T)) @ mlp.down.weight.T
    return output


def close(found: torch.Tensor, expected: torch.Tensor) -> None:
    """Rotary tables are kept in float32: all else is float64."""
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", [name for name in NAMES if name.startswith("attention")])
@torch.no_grad()
def test_attention_is_a_loop_over_tokens_and_heads(name: str) -> None:
    subject = exact(name)
    x = subject.inputs[0]
    close(outputs(subject)[1], attention_of(x[1], subject.model, of(name), range(x.shape[1])))


@pytest.mark.parametrize("name", [name for name in NAMES if name.startswith("mlp")])
@torch.no_grad()
def test_the_mlp_is_its_formula(name: str) -> None:
    subject = exact(name)
    parts: Any = subject.model
    close(outputs(subject), gated(normed(subject.inputs[0], parts[0]), parts[1], of(name)))


def layer_of(x: torch.Tensor, layer: Any, model: Model) -> torch.Tensor:
    x = x + attention_of(normed(x, layer.norm_attention), layer.attention, model, range(len(x)))
    return x + gated(normed(x, layer.norm_mlp), layer.mlp, model)


@pytest.mark.parametrize("name", [name for name in NAMES if name.startswith(("decoder", "prefill"))])
@torch.no_grad()
def test_a_layer_is_attention_and_mlp_beside_shortcuts(name: str) -> None:
    subject = exact(name)
    close(outputs(subject)[0], layer_of(subject.inputs[0][0], subject.model, of(name)))


@pytest.mark.parametrize("model", ["llama3_8b", "qwen25_7b"])
@torch.no_grad()
def test_decoding_token_by_token_is_prefill(model: str) -> None:
    """One layer, given a prompt at once or a token at a time: the same outputs, keys and values."""
    whole, single = exact(f"prefill_{model}"), exact(f"decode_{model}")
    prefill, decode = whole.model, single.model
    weights = {name: value for name, value in prefill.state_dict().items() if not name.endswith(("keys", "values"))}
    decode.load_state_dict(weights, strict=False)
    prompt = whole.inputs[0]
    expected = prefill(prompt)
    length = prompt.shape[1]
    both = prompt.expand(2, -1, -1)
    found = torch.cat([decode(both[:, position : position + 1], torch.tensor(position)) for position in range(length)], dim=1)
    close(found[1], expected[0])
    for cache in ("keys", "values"):
        ours, theirs = (getattr(layer.attention, cache)[:1, :, :length] for layer in (decode, prefill))
        close(ours, theirs)


@pytest.mark.parametrize("name", [name for name in NAMES if name.startswith("moe")])
@torch.no_grad()
def test_a_mixture_is_a_loop_over_tokens(name: str) -> None:
    subject, model = exact(name), of(name)
    layer: Any = subject.model
    rows = []
    for token in subject.inputs[0]:
        scores = (layer.router @ token).exp()
        scores = scores / scores.sum()
        best = sorted(range(model.experts), key=lambda expert: -float(scores[expert]))[: model.experts_per_token]
        total = float(scores[best].sum()) if model.normalized_routing else 1.0
        row = sum(
            scores[expert] / total * (layer.down[expert] @ (silu(layer.gate[expert] @ token) * (layer.up[expert] @ token)))
            for expert in best
        )
        rows.append(row if layer.shared is None else row + gated(token, layer.shared, model))
    expected = torch.stack(rows)
    close(outputs(subject), expected)
    # And by torch's grouped matmul, which has no float64.
    torch.testing.assert_close(outputs(load(name)).double(), expected, rtol=1e-4, atol=1e-4)


def test_few_tokens_read_few_experts() -> None:
    few, many = (load("moe_deepseek_v2_lite", batch_size=size).bytes_moved for size in (1, 64))
    assert few is not None
    assert many is not None
    assert few < many / 5


def test_a_torch_without_grouped_products_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mixture, "GROUPED", None)
    with pytest.raises(Unsupported, match=r"no grouped_mm\n  next: "):
        load("moe_mixtral_8x7b")


@pytest.mark.parametrize("name", [name for name in NAMES if name.startswith("sliding")])
@torch.no_grad()
def test_a_sliding_window_is_a_loop_over_what_it_shows(name: str) -> None:
    subject, model = exact(name), of(name)
    query, key, value = (each[0] for each in subject.inputs)
    found = outputs(subject)[0]
    shared = model.heads // model.kv_heads
    # At the beginning, around the position from which on the window is full, and at the end.
    for position in (0, 1, 127, 128, model.window - 1, model.window, 400, 511):
        seen = slice(max(0, position - model.window + 1), position + 1)
        for head in range(model.heads):
            close(
                found[head, position],
                attended(query[head, position], key[head // shared, seen], value[head // shared, seen], model.softcap),
            )


@torch.no_grad()
def test_paged_attention_is_attention_over_pages_put_in_order() -> None:
    subject, model = exact("paged_attention_llama3_8b"), of("paged_attention_llama3_8b")
    layer: Any = subject.model
    query, table, owned, lengths = subject.inputs
    assert [[row.index(place) for place in range(4)] for row in owned.tolist()] == table.tolist()
    assert len(set(table.flatten().tolist())) == table.numel(), "no page is two sequences'"
    assert len(set(lengths.tolist())) > 1, "sequences are of different lengths"
    found, shared = outputs(subject), model.heads // model.kv_heads
    for row in range(len(query)):
        own = [slice(page * flexible.PAGE, (page + 1) * flexible.PAGE) for page in table[row].tolist()]
        keys, values = (torch.cat([pool[0, :, page] for page in own], dim=1)[:, : int(lengths[row])] for pool in (layer.keys, layer.values))
        for head in range(model.heads):
            close(found[row, head, 0], attended(query[row, head, 0], keys[head // shared], values[head // shared]))


def test_more_sequences_than_the_pool_has_pages_for_are_refused() -> None:
    assert load("paged_attention_llama3_8b", batch_size=4).batch_size == 4
    with pytest.raises(Unsupported, match=r"the pool has 16\n  next: a batch of at most 4"):
        load("paged_attention_llama3_8b", batch_size=5)


@torch.no_grad()
def test_int8_is_a_scale_per_row() -> None:
    subject = exact("linear_int8_llama3_8b")
    layer = subject.model
    assert isinstance(layer, Int8Linear)
    expected = torch.stack([(layer.weight[row].double() * layer.scales[row]) @ subject.inputs[0].T for row in range(len(layer.weight))])
    close(outputs(subject), expected.T)


def dequantized(layer: Int4Linear) -> torch.Tensor:
    """Integer by integer."""
    columns = []
    for column in range(2 * layer.pairs.shape[1]):
        byte = layer.pairs[:, column // 2].long()
        integer = byte // 16 if column % 2 == 0 else byte % 16
        group = column // layer.group
        columns.append((integer - 8).double() * layer.scales[:, group].double() + layer.zeros[:, group].double())
    return torch.stack(columns, dim=1)


@torch.no_grad()
def test_int4_is_a_scale_and_a_zero_per_group() -> None:
    subject = exact("linear_int4_llama3_8b")
    assert isinstance(subject.model, Int4Linear)
    close(outputs(subject), subject.inputs[0] @ dequantized(subject.model).T)


@torch.no_grad()
def test_torchs_packed_int4_weights_are_the_same_ones() -> None:
    plain, packed = load("linear_int4_llama3_8b"), load("linear_int4_packed_llama3_8b")
    assert isinstance(plain.model, Int4Linear)
    expected = plain.inputs[0].double() @ dequantized(plain.model).T
    torch.testing.assert_close(outputs(packed).double(), expected, rtol=1e-4, atol=1e-4)


def test_packed_int4_weights_are_those_of_few_types_on_a_gpu() -> None:
    for device in ("cuda", "xla"):
        with pytest.raises(Unsupported, match=rf"no float32 on {device}\n  next: "):
            load("linear_int4_packed_llama3_8b", device=device)


def definition(logits: torch.Tensor, temperature: float, top_k: int | None, top_p: float) -> torch.Tensor:
    """Probabilities of all tokens, of one row."""
    probabilities = (logits.double() / temperature).softmax(0)
    order = sorted(range(len(logits)), key=lambda token: -float(logits[token]))[:top_k]
    shares = probabilities[order] / probabilities[order].sum()
    kept: list[int] = []
    reached = 0.0
    for token, share in zip(order, shares.tolist(), strict=True):
        kept.append(token)
        reached += share
        if reached >= top_p:
            break
    expected = torch.zeros_like(probabilities)
    expected[kept] = probabilities[kept] / probabilities[kept].sum()
    return expected


@pytest.mark.parametrize("top_k", [None, 1, 5, 30])
@pytest.mark.parametrize("top_p", [0.3, 0.9, 1.0])
@torch.no_grad()
def test_tokens_are_drawn_as_often_as_their_probability_says(top_k: int | None, top_p: float) -> None:
    """With numbers on a grid, the share of each token is exact to a step of it."""
    steps = 10_000
    logits = torch.randn(30, generator=torch.Generator().manual_seed(3)) * 2
    uniform = (torch.arange(steps) + 0.5) / steps
    tokens, probabilities = Sampling(temperature=0.7, top_p=top_p, top_k=top_k)(logits.expand(steps, -1), uniform.unsqueeze(1))
    expected = definition(logits, 0.7, top_k, top_p)
    shares = torch.bincount(tokens.flatten(), minlength=30).double() / steps
    torch.testing.assert_close(shares, expected, rtol=0, atol=2 / steps)
    torch.testing.assert_close(probabilities.double().flatten(), expected[tokens.flatten()], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", [name for name in NAMES if name.startswith("sampling")])
@torch.no_grad()
def test_a_number_that_is_rounded_to_one_still_draws_a_kept_token(name: str) -> None:
    subject = load(name, precision="bfloat16")
    tokens, probabilities = subject.model(subject.inputs[0], torch.ones_like(subject.inputs[1]))
    assert bool((probabilities > 0).all())
    assert bool((tokens < of(name).vocabulary).all())


def test_a_mask_goes_where_its_module_goes() -> None:
    """Its tensors are no buffers: ``meta`` stands for any other device."""
    module: Any = copy.deepcopy(load("sliding_window_mistral_7b").model)
    assert module.to("meta").mask.kv_indices.device.type == "meta"


def test_what_no_backend_can_run_is_marked() -> None:
    matrix = load_matrix(SOURCE / "matrix.toml", SOURCE / "suites")
    planned = make_plan(matrix, (PlannedImage(name="cpu"),), Selection(only=("llm/*",), modes=("training",), backends=("eager",)))
    assert {left_out.cell.split()[0] for left_out in planned.excluded} == {f"llm/{name}" for name in WITHOUT_BACKWARD}


def test_a_batch_size_replaces_the_one_of_the_shapes() -> None:
    subject = load("decode_llama3_8b", batch_size=3)
    assert subject.batch_size == 3
    assert outputs(subject).shape[0] == 3
    with pytest.raises(ValueError, match="small and large"):
        load("decode_llama3_8b", shapes="huge")
