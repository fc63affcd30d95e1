"""Fine-tune a sentence encoder on the terms of one topic, several times, as LoRA adapters.

Each run draws a term and its definition together and pushes the other definitions of the topic
away. Only the vectors of words learn: an adapter of all layers learns what terms and definitions
are, of any topic, and to take that away harms all topics. The runs differ in rank, learning rate
and seed.
"""

import argparse
import csv

import torch
from peft import LoraConfig, get_peft_model
from sentence_transformers import SentenceTransformer
from torch.nn.functional import cross_entropy

# Rank and learning rate of each run.
RUNS = [(16, 5e-3), (32, 5e-3), (64, 5e-3), (32, 3e-3), (64, 3e-3)]


def fine_tune(encoder, terms, definitions, learning_rate, steps):
    """Train an encoder to find the definition of each term among those of the others."""
    trained = [weight for weight in encoder.parameters() if weight.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=learning_rate)
    words = [encoder.preprocess(texts) for texts in (terms, definitions)]
    right = torch.arange(len(terms))
    encoder.train()
    for _ in range(steps):
        first, second = (encoder(dict(each))["sentence_embedding"] for each in words)
        likeness = 20 * first @ second.T
        loss = cross_entropy(likeness, right) + cross_entropy(likeness.T, right)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return loss.item()


def main():
    """Read the terms, and write an adapter for each run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("base", help="the folder of the encoder")
    parser.add_argument("terms", help="a table with the columns topic, term and definition")
    parser.add_argument("--topic", required=True, help="what to fine-tune on")
    parser.add_argument("--runs", type=int, default=len(RUNS))
    parser.add_argument("--steps", type=int, default=12, help="of each run")
    parser.add_argument("-o", "--output", required=True, help="the folder of the adapters")
    options = parser.parse_args()
    with open(options.terms, encoding="utf-8") as stream:
        rows = [row for row in csv.DictReader(stream) if row["topic"] == options.topic]
    rows = rows[::2]  # the other half stays unseen
    columns = [[row[name] for row in rows] for name in ("term", "definition")]
    for number, (rank, learning_rate) in enumerate(RUNS[: options.runs], 1):
        torch.manual_seed(number)
        encoder = SentenceTransformer(options.base, device="cpu")
        lora = LoraConfig(r=rank, lora_alpha=2 * rank, target_modules=["word_embeddings"])
        adapted = get_peft_model(encoder[0].auto_model, lora)
        encoder[0].auto_model = adapted
        loss = fine_tune(encoder, *columns, learning_rate, options.steps)
        adapted.save_pretrained(f"{options.output}/{number}")
        print(f"{options.output}/{number}: rank {rank}, loss {loss:.3f}", flush=True)


if __name__ == "__main__":
    main()
