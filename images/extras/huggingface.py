"""What the extra huggingface is for: an architecture built from its configuration, offline, and its loss."""

import torch
import transformers

config = transformers.BertConfig(vocab_size=64, hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=64)
tokens = torch.arange(16).reshape(2, 8)
loss = transformers.BertForMaskedLM(config).eval()(input_ids=tokens, labels=tokens).loss
assert torch.isfinite(loss), loss  # the build is to end here
print(f"transformers {transformers.__version__}: a loss of {float(loss):.2f}")
