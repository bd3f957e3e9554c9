"""The model: VQ tokenizer, understanding and generation experts, memory, world-model head."""
