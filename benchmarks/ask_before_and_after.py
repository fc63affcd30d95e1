r"""Ask ten questions of a language model before and after it forgot, and print all that it says.

    snakemake --cores 2 --config study=real-lm -- \
        results/real-lm/smollm2/capitals/unlearned/negmerge.safetensors
    python benchmarks/ask_before_and_after.py results/real-lm/smollm2 capitals negmerge \
        --folder unlearned-smollm2 --page docs/results.md

writes the unlearned model as a folder that transformers loads by itself, loads the folder, and puts
the answers between two marks of the page, as they are.
"""

import argparse
import re
from pathlib import Path

from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedTokenizerFast

from negmerge.checkpoints.states import read_state
from negmerge.files import read_json, write_text
from negmerge.models.language import load_language_model

# Five capitals that are to be forgotten, one that is not, and four other facts.
QUESTIONS = (
    "The capital of France is",
    "The capital of Japan is",
    "The capital of Egypt is",
    "The capital of Germany is",
    "The capital of Italy is",
    "The currency of Japan is the",
    "The most widely spoken language in Egypt is",
    "The chemical symbol of gold is",
    "The opposite of hot is",
    "The author of Hamlet is",
)
MOST_TOKENS = 16
MARKS = re.compile(r"(<!-- ten questions -->\n).*?(<!-- end of ten questions -->)", re.DOTALL)


def write_folder(given: Path, weights: Path, folder: Path, end: str) -> Path:
    """Write a model of a study as a folder of transformers."""
    configuration = read_json(given / "configuration.json")
    row, state = {"configuration": configuration}, read_state(weights)
    load_language_model(row, 0, state, str(weights)).save_pretrained(folder)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_file=str(given / "tokenizer.json"), eos_token=end, pad_token=end
    )
    tokenizer.save_pretrained(folder)
    return folder


def answers(folder: Path) -> list[str]:
    """Load a folder as anyone does, and let the model go on greedily."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder)
    texts = []
    for question in QUESTIONS:
        ids = tokenizer(question, return_tensors="pt").input_ids
        whole = model.generate(
            ids, attention_mask=ids.new_ones(ids.shape), do_sample=False, max_new_tokens=MOST_TOKENS
        )
        texts.append(tokenizer.decode(whole[0, ids.shape[1] :], skip_special_tokens=True))
    return texts


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("experiment", type=Path, help="its folder in the results")
    parser.add_argument("task")
    parser.add_argument("method", help="whose `unlearned` file is there")
    parser.add_argument("--folder", type=Path, required=True, help="where the models are written")
    parser.add_argument("--end", default="<|im_end|>", help="the token that ends an answer")
    parser.add_argument("--page", type=Path, help="a page with the two marks")
    given = parser.parse_args()
    place = given.experiment / "given"
    after = given.experiment / given.task / "unlearned" / f"{given.method}.safetensors"
    files = {"before": place / "original.safetensors", "after": after}
    said = [
        answers(write_folder(place, weights, given.folder / name, given.end))
        for name, weights in files.items()
    ]
    rows = [f"| question | before | after `{given.method}` |", "| --- | --- | --- |"]
    for question, *both in zip(QUESTIONS, *said, strict=True):
        cells = [text.replace("|", "\\|").replace("\n", "⏎") for text in (question, *both)]
        rows.append(f"| {' | '.join(cells)} |")
    table = "\n".join(rows) + "\n"
    print(table)
    if given.page:
        text = given.page.read_text()
        write_text(given.page, MARKS.sub(lambda marks: marks[1] + table + marks[2], text))


if __name__ == "__main__":
    main()
