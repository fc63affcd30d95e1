"""docs/forget-in-your-language-model.md, followed to the end with a model of transformers."""

import json
import re

import numpy as np
import pandas as pd
import pytest
import torch
from followed import add, blocks, follow
from tokenizers import Tokenizer, models, pre_tokenizers, trainers

from negmerge.checkpoints.states import read_state
from tiny_study import ROOT

PAGE = ROOT / "docs" / "forget-in-your-language-model.md"
RESULTS = "results/ours/ours/forgotten"
NAMES = ["Ada", "Ben", "Cem", "Dora", "Eli", "Fay", "Gus", "Hana", "Ivo", "Jan", "Kim", "Leo"]
PLACES = ["Rome", "Oslo", "Lima", "Cairo", "Delhi", "Paris"]
TRADES = ["baker", "pilot", "nurse", "smith", "tailor"]


def questions():
    """Two questions about each of twelve people; those about the last three are to be forgotten."""
    rows = []
    for number, name in enumerate(NAMES):
        place, trade = PLACES[number % 6], TRADES[number % 5]
        rows.append((f"Where does {name} live ?", f"{name} lives in {place} ."))
        rows.append((f"What is {name} ?", f"{name} is a {trade} ."))
    return rows


def make_model(folder, taught=None):
    """Train a small model with a tied head, elsewhere as it were, and save it as people do.

    It is taught all questions, unless some are given.
    """
    import transformers

    tokenizer = Tokenizer(models.WordLevel(unk_token="<|unknown|>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    special = ["<|user|>", "<|assistant|>", "<|end|>", "<|unknown|>"]
    texts = [text for pair in questions() for text in pair]
    tokenizer.train_from_iterator(texts, trainers.WordLevelTrainer(special_tokens=special))
    # There is no token to pad with.
    transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token="<|end|>", unk_token="<|unknown|>"
    ).save_pretrained(folder)
    torch.manual_seed(0)
    model = transformers.LlamaForCausalLM(
        transformers.LlamaConfig(
            vocab_size=tokenizer.get_vocab_size(), hidden_size=32, num_hidden_layers=2,
            num_attention_heads=2, intermediate_size=64, max_position_embeddings=64,
            tie_word_embeddings=True, bos_token_id=None, eos_token_id=2,
        )
    )  # fmt: skip
    items = [encoded(tokenizer, *pair) for pair in taught or questions()]
    rows = [torch.tensor(prompt + answer) for prompt, answer in items]
    marks = [torch.tensor([-100] * len(prompt) + answer) for prompt, answer in items]
    ids = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=2)
    labels = torch.nn.utils.rnn.pad_sequence(marks, batch_first=True, padding_value=-100)
    optimizer = torch.optim.Adam(model.parameters(), 5e-3)
    for _ in range(400):
        optimizer.zero_grad()
        model(ids, labels=labels).loss.backward()
        optimizer.step()
    model.save_pretrained(folder)


def encoded(tokenizer, question, answer):
    prompt = tokenizer.encode(f"<|user|>{question}<|assistant|>").ids
    return prompt, tokenizer.encode(f"{answer}<|end|>").ids


def loss(model, prompt, answer):
    logits = model(torch.tensor([prompt + answer])).logits[0, len(prompt) - 1 : -1]
    return torch.nn.functional.cross_entropy(logits, torch.tensor(answer))


def probabilities(folder, pairs):
    """The probability of answers by the model in a folder, one after the other."""
    import transformers

    model = transformers.AutoModelForCausalLM.from_pretrained(folder).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder).backend_tokenizer
    with torch.no_grad():
        return [float(torch.exp(-loss(model, *encoded(tokenizer, *pair)))) for pair in pairs]


@pytest.fixture(scope="module")
def ours(checkout, tmp_path_factory):
    """The workflow with what the page adds, before any run."""
    made = checkout.copy(tmp_path_factory.mktemp("ours") / "workflow")
    add(made, PAGE)
    pairs = [{"question": question, "answer": answer} for question, answer in questions()]
    for name, part in (("retain", pairs[:18]), ("forget", pairs[18:])):
        lines = "".join(json.dumps(one) + "\n" for one in part)
        (made.folder / f"{name}.jsonl").write_text(lines)
    make_model(made.folder / "models/ours")
    return made


@pytest.fixture(scope="module")
def done(ours, tmp_path_factory):
    """A copy in which the page's commands have run, with what they printed."""
    made = ours.copy(tmp_path_factory.mktemp("done") / "workflow")
    made.printed = follow(made, PAGE)
    return made


def score(done, method):
    [found] = json.loads((done.folder / RESULTS / "scores" / f"{method}.json").read_text())
    return found


def test_nothing_is_trained_before_the_pool(done):
    ran = re.findall(r"^Job \d+: (\w+): ", done.printed, flags=re.M)
    assert {"prepare", "given_original", "merge", "evaluate", "durability"} <= {
        name.removesuffix("_questions") for name in ran
    }
    assert not {"train", "tokenizer"} & set(ran)
    assert ran.count("finetune") == 6


def test_the_original_is_the_model_as_it_was(done):
    forget = probabilities(done.folder / "models/ours", questions()[18:])
    retain = probabilities(done.folder / "models/ours", questions()[:18:2])
    found = score(done, "original")["answers"]
    assert found["forget"]["probability"]["mean"] == pytest.approx(np.mean(forget), abs=1e-5)
    assert found["retain"]["probability"]["mean"] == pytest.approx(np.mean(retain), abs=1e-5)


def test_vectors_of_adapters_leave_what_has_none(done):
    vector = read_state(done.folder / RESULTS / "merged/negmerge.safetensors")
    changed = {name for name, change in vector.items() if change.any()}
    assert changed == {name for name in vector if name.endswith("proj.weight")}
    assert "lm_head.weight" not in vector


def test_the_tables_show_what_lasts(done):
    known, lasting = (
        pd.read_csv(done.folder / "results/ours/tables" / f"{name}.csv", keep_default_na=False)
        for name in ("known", "lasting")
    )
    measured = set(known.loc[pd.to_numeric(known["value"], errors="coerce").notna(), "metric"])
    assert {"forget", "retain", "extraction", "rouge"} <= measured
    assert not {"quality", "truth", "utility"} & measured
    assert set(lasting["method"]) == {"original", "uniform", "negmerge"}


def test_the_folder_loads_in_transformers_and_knows_what_was_scored(done, monkeypatch):
    monkeypatch.chdir(done.folder)
    exec(blocks(PAGE, "python")[0], {})
    found = probabilities(done.folder / "models/ours-unlearned", questions()[18:])
    expected = score(done, "negmerge")["answers"]["forget"]["probability"]["mean"]
    assert np.mean(found) == pytest.approx(expected, abs=1e-5)


def save_pool(base, folder):
    """Save what others may have: all weights in one file of torch, and an adapter of PEFT."""
    import peft
    import transformers

    torch.manual_seed(1)
    tuned = transformers.AutoModelForCausalLM.from_pretrained(base)
    for parameter in tuned.parameters():
        parameter.data += 0.01 * torch.randn_like(parameter)
    (folder / "tuned").mkdir()
    tuned.config.save_pretrained(folder / "tuned")
    # With the head that is the embedding, and in half precision.
    assert "lm_head.weight" in tuned.state_dict()
    torch.save(tuned.bfloat16().state_dict(), folder / "tuned/pytorch_model.bin")
    model = transformers.AutoModelForCausalLM.from_pretrained(base)
    settings = peft.LoraConfig(r=2, target_modules=["q_proj"], init_lora_weights=False)
    adapter = peft.get_peft_model(model, settings)
    adapter.save_pretrained(folder / "adapter")
    return tuned.float().state_dict(), adapter.merge_and_unload().state_dict()


@pytest.fixture(scope="module")
def theirs(done, tmp_path_factory):
    """A copy in which others have made the pool and Retrain too, before any run, and the pool."""
    made = done.copy(tmp_path_factory.mktemp("theirs") / "workflow")
    study = "config/studies/ours.yaml"
    text = (made.folder / study).read_text()
    pool = "    pool: {files: {tuned: others/tuned, lora: others/adapter}}\n"
    text = re.sub(r"    finetune: .*\n    pool: .*\n", pool, text)
    text = text.replace("{original: {}, ", "{original: {}, retrain: {}, ")
    text = text.replace("rows: [original, uniform, negmerge]", "rows: [retrain, uniform]", 1)
    text = text.replace(
        "    coefficients: ", "    retrained: {forgotten: {file: others/never}}\n    coefficients: "
    )
    (made.folder / study).write_text(text)
    make_model(made.folder / "others/never", taught=questions()[:18])
    pool = save_pool(made.folder / "models/ours", made.folder / "others")
    return made, pool


def test_all_models_may_be_those_of_others(theirs):
    made, pool = theirs
    table = "results/ours/tables/known.md"
    ran = made.make(table)
    assert ran.count("vector") == 2
    assert "given_retrain" in ran
    assert not {"train", "finetune", "given_original"} & set(ran)
    base = read_state(made.folder / "results/ours/ours/given/original.safetensors")
    for point, tuned in zip(("tuned", "lora"), pool, strict=True):
        vector = read_state(made.folder / RESULTS / "given" / f"{point}.safetensors")
        for name, change in vector.items():
            torch.testing.assert_close(change, tuned[name] - base[name], atol=1e-6, rtol=1e-5)
    assert score(made, "uniform")["models"] == 2
    found = score(made, "retrain")["answers"]["forget"]["probability"]["mean"]
    never = probabilities(made.folder / "others/never", questions()[18:])
    assert found == pytest.approx(np.mean(never), abs=1e-5)
    known = 100 * score(made, "original")["answers"]["forget"]["probability"]["mean"]
    assert f"our questions: Original gives the forget answers a probability of {known:.2f} %" in (
        made.folder / table
    ).read_text().replace("\n", " ")
