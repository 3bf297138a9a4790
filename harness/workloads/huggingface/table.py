"""The names of the suite. Standard library only: the host plans with them.

Upstream's names, batch sizes (of ``huggingface_models_list.txt``, over the divisors of ``huggingface.yaml``) and sequence lengths
(``huggingface.py``) are those of benchmarks/dynamo in pytorch/pytorch, at 032cbcbbb030. A configuration that upstream takes from the hub is
written out here: its published values, where they are not the class' defaults. What upstream does not have is at the end.
"""

from __future__ import annotations

from collections.abc import Mapping

from harness.workloads.huggingface.architecture import Architecture, Configuration, Size

VOCABULARY = 1024
"""Of ``small``."""

# ``small`` by the names that configurations have for the same things.
_BERT: Configuration = {
    "vocab_size": VOCABULARY,
    "hidden_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 256,
}
_BART: Configuration = {
    "vocab_size": VOCABULARY,
    "d_model": 128,
    "encoder_layers": 2,
    "decoder_layers": 2,
    "encoder_attention_heads": 4,
    "decoder_attention_heads": 4,
    "encoder_ffn_dim": 256,
    "decoder_ffn_dim": 256,
}
_T5: Configuration = {
    "vocab_size": VOCABULARY,
    "d_model": 128,
    "d_kv": 32,
    "d_ff": 256,
    "num_layers": 2,
    "num_decoder_layers": 2,
    "num_heads": 4,
}
_GPT2: Configuration = {"vocab_size": VOCABULARY, "n_embd": 128, "n_layer": 2, "n_head": 4, "bos_token_id": 0, "eos_token_id": 0}
_GPT_J: Configuration = {**_GPT2, "rotary_dim": 16}
_GPT_NEO: Configuration = {
    "vocab_size": VOCABULARY,
    "hidden_size": 128,
    "num_layers": 2,
    "num_heads": 4,
    "attention_types": [[["global", "local"], 1]],
    "window_size": 16,
    "bos_token_id": 0,
    "eos_token_id": 0,
}
_DISTIL_BERT: Configuration = {"vocab_size": VOCABULARY, "dim": 128, "hidden_dim": 256, "n_layers": 2, "n_heads": 4}
_MOBILE_BERT: Configuration = {**_BERT, "embedding_size": 32, "intra_bottleneck_size": 64, "intermediate_size": 128}
_DECODER: Configuration = {**_BERT, "num_key_value_heads": 2, "head_dim": 32}

# From the hub.
_CAMEMBERT: Configuration = {"vocab_size": 32005, "max_position_embeddings": 514, "type_vocab_size": 1}
# The class' default has 512 positions, of which padding takes two: upstream, which uses it, has nothing but padding as input.
_ROBERTA: Configuration = {"max_position_embeddings": 514, "type_vocab_size": 1}
_LONGFORMER: Configuration = {
    "vocab_size": 50265,
    "max_position_embeddings": 4098,
    "type_vocab_size": 1,
    "attention_window": [512] * 12,
}
_LLAMA_3_2_1B: Configuration = {
    "vocab_size": 128256,
    "hidden_size": 2048,
    "intermediate_size": 8192,
    "num_hidden_layers": 16,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "head_dim": 64,
    "max_position_embeddings": 131072,
    "rms_norm_eps": 1e-5,
    "tie_word_embeddings": True,
    "rope_parameters": {
        "rope_type": "llama3",
        "rope_theta": 500000.0,
        "factor": 32.0,
        "low_freq_factor": 1.0,
        "high_freq_factor": 4.0,
        "original_max_position_embeddings": 8192,
    },
}
_QWEN3_0_6B: Configuration = {
    "vocab_size": 151936,
    "hidden_size": 1024,
    "intermediate_size": 3072,
    "num_hidden_layers": 28,
    "num_attention_heads": 16,
    "num_key_value_heads": 8,
    "head_dim": 128,
    "max_position_embeddings": 40960,
    "tie_word_embeddings": True,
    "rope_parameters": {"rope_type": "default", "rope_theta": 1000000.0},
}
_GEMMA_3_4B: Configuration = {
    "vocab_size": 262208,
    "hidden_size": 2560,
    "intermediate_size": 10240,
    "num_hidden_layers": 34,
    "num_attention_heads": 8,
    "num_key_value_heads": 4,
    "head_dim": 256,
    "sliding_window": 1024,
}
_MISTRAL_7B: Configuration = {
    "vocab_size": 32768,
    "sliding_window": None,
    "max_position_embeddings": 32768,
    "rope_parameters": {"rope_type": "default", "rope_theta": 1000000.0},
}
_GPT_OSS_20B: Configuration = {"num_hidden_layers": 24, "num_local_experts": 32, "num_experts_per_tok": 4}
_WHISPER_TINY: Configuration = {
    "d_model": 384,
    "encoder_layers": 4,
    "decoder_layers": 4,
    "encoder_attention_heads": 6,
    "decoder_attention_heads": 6,
    "encoder_ffn_dim": 1536,
    "decoder_ffn_dim": 1536,
}

# Decoders of today's widths and of small depth: those of Llama 3.1 8B and Qwen3 8B.
_LLAMA_SHALLOW: Configuration = {
    **_LLAMA_3_2_1B,
    "hidden_size": 4096,
    "intermediate_size": 14336,
    "num_hidden_layers": 4,
    "head_dim": 128,
    "tie_word_embeddings": False,
}
_QWEN3_SHALLOW: Configuration = {
    **_QWEN3_0_6B,
    "hidden_size": 4096,
    "intermediate_size": 12288,
    "num_hidden_layers": 4,
    "num_attention_heads": 32,
    "tie_word_embeddings": False,
}


def _entry(
    model: str,
    task: str,
    batch: int,
    length: int,
    small: Configuration,
    *,
    family: str,
    large: Configuration | None = None,
    small_length: int = 32,
) -> Architecture:
    """Of one length in ``large``; what ``large`` says holds in ``small`` where that does not say otherwise."""
    return Architecture(
        model=model,
        family=family,
        task=task,
        large=Size(batch=batch, length=length, configuration=large or {}),
        small=Size(batch=2, length=small_length, configuration={**(large or {}), **small}),
    )


def _generation(model: str, family: str, task: str, large: Configuration, small: Configuration, *, prompt: int, cache: int) -> Architecture:
    """One text, as upstream's. prompt, cache: of ``large``. ``decode`` makes the token half-way from the prompt to the end of the cache."""

    def size(prompt: int, cache: int, configuration: Configuration) -> Size:
        return Size(batch=1, length=prompt if task == "prefill" else (prompt + cache) // 2, configuration=configuration, cache=cache)

    return Architecture(model=model, family=family, task=task, large=size(prompt, cache, large), small=size(32, 96, {**large, **small}))


_BLENDERBOT = {**_BART, "max_position_embeddings": 128}
_PAD = {"pad_token_id": 0}

ARCHITECTURES: Mapping[str, Architecture] = {
    "AlbertForMaskedLM": _entry("AlbertForMaskedLM", "language", 4, 512, {**_BERT, "embedding_size": 64}, family="albert"),
    "AlbertForQuestionAnswering": _entry("AlbertForQuestionAnswering", "span", 8, 512, {**_BERT, "embedding_size": 64}, family="albert"),
    "AllenaiLongformerBase": _entry(
        "LongformerForMaskedLM",
        "language",
        4,
        1024,
        {**_BERT, "attention_window": [16, 16]},
        family="longformer",
        large=_LONGFORMER,
        small_length=64,
    ),
    "BartForCausalLM": _entry("BartForCausalLM", "language", 4, 1024, _BART, family="bart"),
    "BartForConditionalGeneration": _entry("BartForConditionalGeneration", "language", 4, 1024, _BART, family="bart"),
    "BertForMaskedLM": _entry("BertForMaskedLM", "language", 16, 512, _BERT, family="bert"),
    "BertForQuestionAnswering": _entry("BertForQuestionAnswering", "span", 32, 512, _BERT, family="bert"),
    "BlenderbotForCausalLM": _entry("BlenderbotForCausalLM", "language", 4, 128, _BLENDERBOT, family="blenderbot"),
    "BlenderbotForConditionalGeneration": _entry(
        "BlenderbotForConditionalGeneration", "translation", 16, 128, _BLENDERBOT, family="blenderbot"
    ),
    "BlenderbotSmallForCausalLM": _entry("BlenderbotSmallForCausalLM", "language", 256, 128, _BART, family="blenderbot_small"),
    "BlenderbotSmallForConditionalGeneration": _entry(
        "BlenderbotSmallForConditionalGeneration", "language", 128, 128, _BART, family="blenderbot_small"
    ),
    "CamemBert": _entry("CamembertForMaskedLM", "language", 32, 128, _BERT, family="camembert", large=_CAMEMBERT),
    "DebertaV2ForMaskedLM": _entry("DebertaV2ForMaskedLM", "language", 2, 512, _BERT, family="deberta_v2"),
    "DebertaV2ForQuestionAnswering": _entry("DebertaV2ForQuestionAnswering", "span", 8, 512, _BERT, family="deberta_v2"),
    "DistilBertForMaskedLM": _entry("DistilBertForMaskedLM", "language", 128, 128, _DISTIL_BERT, family="distilbert"),
    "DistilBertForQuestionAnswering": _entry("DistilBertForQuestionAnswering", "span", 512, 128, _DISTIL_BERT, family="distilbert"),
    "DistillGPT2": _entry("GPT2LMHeadModel", "language", 16, 512, _GPT2, family="gpt2", large={"n_layer": 6}),
    "ElectraForCausalLM": _entry("ElectraForCausalLM", "language", 32, 512, {**_BERT, "embedding_size": 64}, family="electra"),
    "ElectraForQuestionAnswering": _entry(
        "ElectraForQuestionAnswering", "span", 128, 512, {**_BERT, "embedding_size": 64}, family="electra"
    ),
    "GPT2ForSequenceClassification": _entry("GPT2ForSequenceClassification", "classification", 4, 1024, _GPT2, family="gpt2", large=_PAD),
    "GPTJForCausalLM": _entry("GPTJForCausalLM", "language", 1, 128, _GPT_J, family="gptj"),
    "GPTJForQuestionAnswering": _entry("GPTJForQuestionAnswering", "span", 1, 128, _GPT_J, family="gptj"),
    "GPTNeoForCausalLM": _entry("GPTNeoForCausalLM", "language", 32, 128, _GPT_NEO, family="gpt_neo"),
    "GPTNeoForSequenceClassification": _entry(
        "GPTNeoForSequenceClassification", "classification", 32, 128, _GPT_NEO, family="gpt_neo", large=_PAD
    ),
    "GoogleFnet": _entry("FNetForMaskedLM", "language", 16, 512, {**_BERT, "tpu_short_seq_length": 32}, family="fnet"),
    "LayoutLMForMaskedLM": _entry("LayoutLMForMaskedLM", "language", 16, 512, _BERT, family="layoutlm"),
    "LayoutLMForSequenceClassification": _entry("LayoutLMForSequenceClassification", "classification", 32, 512, _BERT, family="layoutlm"),
    "M2M100ForConditionalGeneration": _entry("M2M100ForConditionalGeneration", "translation", 16, 128, _BART, family="m2m_100"),
    "MBartForCausalLM": _entry("MBartForCausalLM", "language", 4, 1024, _BART, family="mbart"),
    "MBartForConditionalGeneration": _entry("MBartForConditionalGeneration", "language", 4, 1024, _BART, family="mbart"),
    "MT5ForConditionalGeneration": _entry("MT5ForConditionalGeneration", "translation", 16, 128, _T5, family="mt5"),
    "MegatronBertForCausalLM": _entry("MegatronBertForCausalLM", "language", 4, 512, _BERT, family="megatron_bert"),
    "MegatronBertForQuestionAnswering": _entry("MegatronBertForQuestionAnswering", "span", 16, 512, _BERT, family="megatron_bert"),
    "MobileBertForMaskedLM": _entry("MobileBertForMaskedLM", "language", 128, 128, _MOBILE_BERT, family="mobilebert"),
    "MobileBertForQuestionAnswering": _entry("MobileBertForQuestionAnswering", "span", 256, 128, _MOBILE_BERT, family="mobilebert"),
    "OPTForCausalLM": _entry(
        "OPTForCausalLM",
        "language",
        2,
        2048,
        {
            "vocab_size": VOCABULARY,
            "hidden_size": 128,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "ffn_dim": 256,
            "word_embed_proj_dim": 128,
        },
        family="opt",
    ),
    "PLBartForCausalLM": _entry("PLBartForCausalLM", "language", 8, 1024, _BART, family="plbart"),
    "PLBartForConditionalGeneration": _entry("PLBartForConditionalGeneration", "language", 8, 1024, _BART, family="plbart"),
    "PegasusForCausalLM": _entry("PegasusForCausalLM", "language", 32, 128, _BART, family="pegasus"),
    "PegasusForConditionalGeneration": _entry("PegasusForConditionalGeneration", "language", 64, 128, _BART, family="pegasus"),
    "RobertaForCausalLM": _entry("RobertaForCausalLM", "language", 16, 512, _BERT, family="roberta", large=_ROBERTA),
    "RobertaForQuestionAnswering": _entry("RobertaForQuestionAnswering", "span", 32, 512, _BERT, family="roberta", large=_ROBERTA),
    "T5ForConditionalGeneration": _entry("T5ForConditionalGeneration", "translation", 4, 1024, _T5, family="t5"),
    "T5Small": _entry("T5ForConditionalGeneration", "translation", 4, 1024, _T5, family="t5"),
    "TrOCRForCausalLM": _entry(
        "TrOCRForCausalLM",
        "language",
        32,
        256,
        {"vocab_size": VOCABULARY, "d_model": 128, "decoder_layers": 2, "decoder_attention_heads": 4, "decoder_ffn_dim": 256},
        family="trocr",
    ),
    "XGLMForCausalLM": _entry(
        "XGLMForCausalLM",
        "language",
        8,
        128,
        {"vocab_size": VOCABULARY, "d_model": 128, "num_layers": 2, "attention_heads": 4, "ffn_dim": 256},
        family="xglm",
    ),
    "XLNetLMHeadModel": _entry(
        "XLNetLMHeadModel",
        "language",
        8,
        512,
        {"vocab_size": VOCABULARY, "d_model": 128, "n_layer": 2, "n_head": 4, "d_inner": 256},
        family="xlnet",
        large={"use_mems_eval": False},
    ),
    "YituTechConvBert": _entry("ConvBertForMaskedLM", "language", 16, 512, {**_BERT, "embedding_size": 128}, family="convbert"),
    "meta-llama/Llama-3.2-1B": _entry("LlamaForCausalLM", "language", 1, 1000, _DECODER, family="llama", large=_LLAMA_3_2_1B),
    "google/gemma-2-2b": _entry(
        "Gemma2ForCausalLM", "language", 1, 1000, {**_DECODER, "sliding_window": 16, "query_pre_attn_scalar": 32}, family="gemma2"
    ),
    "google/gemma-3-4b-it": _entry(
        "Gemma3ForCausalLM",
        "language",
        1,
        1000,
        # One layer in six is of the whole sequence: two layers would have none.
        {**_DECODER, "num_hidden_layers": 6, "sliding_window": 16, "query_pre_attn_scalar": 32},
        family="gemma3",
        large=_GEMMA_3_4B,
    ),
    "openai/whisper-tiny": _entry(
        "WhisperForConditionalGeneration",
        "speech",
        1,
        128,
        {
            **_BART,
            "max_source_positions": 64,
            "max_target_positions": 64,
            "pad_token_id": 0,
            "bos_token_id": 0,
            "eos_token_id": 0,
            "decoder_start_token_id": 0,
        },
        family="whisper",
        large=_WHISPER_TINY,
    ),
    "Qwen/Qwen3-0.6B": _entry("Qwen3ForCausalLM", "language", 1, 1000, _DECODER, family="qwen3", large=_QWEN3_0_6B),
    "mistralai/Mistral-7B-Instruct-v0.3": _entry("MistralForCausalLM", "language", 1, 1000, _DECODER, family="mistral", large=_MISTRAL_7B),
    "openai/gpt-oss-20b": _entry(
        "GptOssForCausalLM",
        "language",
        1,
        1000,
        {**_DECODER, "num_local_experts": 4, "num_experts_per_tok": 2, "sliding_window": 16, "pad_token_id": 0, "eos_token_id": 0},
        family="gpt_oss",
        large=_GPT_OSS_20B,
    ),
    # Not upstream's.
    "ViTForImageClassification": _entry(
        "ViTForImageClassification",
        "image",
        64,
        1,
        {"hidden_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 256, "image_size": 32, "patch_size": 8},
        family="vit",
    ),
    "LlamaForCausalLM": _entry("LlamaForCausalLM", "language", 4, 1024, _DECODER, family="llama", large=_LLAMA_SHALLOW),
    "Qwen3ForCausalLM": _entry("Qwen3ForCausalLM", "language", 4, 1024, _DECODER, family="qwen3", large=_QWEN3_SHALLOW),
    # Upstream generates 2000 tokens after 1000; GPT-2 has no more than 1024 positions.
    "LlamaForCausalLM_prefill": _generation("LlamaForCausalLM", "llama", "prefill", _LLAMA_3_2_1B, _DECODER, prompt=1000, cache=3000),
    "LlamaForCausalLM_decode": _generation("LlamaForCausalLM", "llama", "decode", _LLAMA_3_2_1B, _DECODER, prompt=1000, cache=3000),
    "Qwen3ForCausalLM_prefill": _generation("Qwen3ForCausalLM", "qwen3", "prefill", _QWEN3_0_6B, _DECODER, prompt=1000, cache=3000),
    "Qwen3ForCausalLM_decode": _generation("Qwen3ForCausalLM", "qwen3", "decode", _QWEN3_0_6B, _DECODER, prompt=1000, cache=3000),
    "GPT2LMHeadModel_prefill": _generation("GPT2LMHeadModel", "gpt2", "prefill", {}, _GPT2, prompt=512, cache=1024),
    "GPT2LMHeadModel_decode": _generation("GPT2LMHeadModel", "gpt2", "decode", {}, _GPT2, prompt=512, cache=1024),
}
