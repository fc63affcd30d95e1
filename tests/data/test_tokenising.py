import re

import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers

from negmerge.data.tokenising import (
    END,
    PAD,
    WITHOUT_LOSS,
    Encoder,
    read_tokenizer,
    train_tokenizer,
)
from negmerge.errors import UserError

TEXTS = ["Who was born in Oslo ?", "Ada Berg was born in Oslo .", "Who writes ? Ada Berg ."]
PROMPT = "<question>{question}<answer>"
SPECIAL = ["<question>", "<answer>"]


def encoder(kind="words", prompt=PROMPT, most=64, size=400):
    return Encoder(train_tokenizer(TEXTS, kind, size, SPECIAL), prompt, most)


@pytest.mark.parametrize("kind", ["words", "byte-pairs"])
def test_only_the_answer_and_its_end_carry_loss(kind):
    made = encoder(kind)
    before, answer = made.encode(TEXTS[0], TEXTS[1])
    ids = [made.tokenizer.token_to_id(token) for token in (*SPECIAL, END)]
    assert (before[0], before[-1], answer[-1]) == (ids[0], ids[1], ids[2])
    assert made.tokenizer.decode(answer) == TEXTS[1]
    (ids, labels), (_, other) = made.items([(TEXTS[0], TEXTS[1]), ("Who ?", "Ada")])
    assert ids.tolist() == [*before, *answer]
    assert labels.tolist() == [WITHOUT_LOSS] * len(before) + answer
    kept = other[other != WITHOUT_LOSS]
    assert kept.tolist() == made.encode("Who ?", "Ada")[1]
    # Padding is on the right; an end that the answer has already is not doubled.
    (short, labels), _ = made.items([("Who ?", "Ada"), (TEXTS[0], TEXTS[1])])
    length = sum(map(len, made.encode("Who ?", "Ada")))
    assert set(short[length:].tolist()) == {made.tokenizer.token_to_id(PAD)}
    assert set(labels[length:].tolist()) == {WITHOUT_LOSS}
    assert made.encode("Who ?", f"Ada{END}") == made.encode("Who ?", "Ada")


def test_the_end_carries_loss_even_where_it_is_the_token_of_padding():
    words = {word: n for n, word in enumerate([END, "<question>", "<answer>", "Who", "Ada"])}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token=END))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.add_special_tokens([END, *SPECIAL])
    (ids, labels), _ = Encoder(tokenizer, PROMPT, 64).items([("Who", "Ada"), ("Who", "Ada Ada")])
    assert ids.tolist() == [1, 3, 2, 4, 0, 0]
    assert labels.tolist() == [*[WITHOUT_LOSS] * 3, 4, 0, WITHOUT_LOSS]


def test_texts_that_cannot_be_encoded_are_named():
    byte_pairs = train_tokenizer(["abab" * 9] * 9, "byte-pairs", 300, [])
    length = sum(map(len, encoder().encode(*TEXTS[:2])))
    assert encoder(most=length).encode(*TEXTS[:2]) == encoder().encode(*TEXTS[:2])
    for made, question, answer, finding in (
        (Encoder(byte_pairs, "{question}", 64), "aba", "b", "tokens of the prompt change"),
        (encoder(), "Who ?", " ", "the answer ' ' has no tokens"),
        (encoder(most=length - 1), *TEXTS[:2], f"{length} tokens with its answer, .* {length - 1}"),
    ):
        with pytest.raises(UserError, match=f"^question {re.escape(repr(question))}: .*{finding}"):
            made.encode(question, answer)


def test_pairs_stand_side_by_side():
    made = encoder()
    (pair,) = made.pairs([("Who ?", "Ada")], [("Who ?", "Ada Berg .")])
    ids, labels = pair
    both = made.items([("Who ?", "Ada"), ("Who ?", "Ada Berg .")])
    assert torch.equal(ids, torch.stack([ids for ids, _ in both]))
    assert torch.equal(labels, torch.stack([labels for _, labels in both]))


def test_a_file_of_something_else_is_named(tmp_path):
    path = tmp_path / "t.json"
    path.write_text("{}")
    with pytest.raises(UserError, match=f"^{path}: not a tokenizer "):
        read_tokenizer(str(path))
    Tokenizer(models.WordLevel({PAD: 0}, unk_token=PAD)).save(str(path))
    with pytest.raises(UserError, match=f"^{path}: the tokenizer has no token '{END}'; the key"):
        read_tokenizer(str(path))


def test_of_a_fact_only_its_own_tokens_carry_loss():
    made = Encoder(encoder("byte-pairs").tokenizer, "{question}", 64, prompts={"chat": PROMPT})
    decode = made.tokenizer.decode
    before, fact = made.encode("Ada Berg was born", " in Oslo .", "Oslo")
    assert (decode(before), decode(fact).strip()) == ("Ada Berg was born in", "Oslo")
    before, fact = made.encode("Who ?", "Ada Berg .", "Berg", "chat")
    assert decode(before, skip_special_tokens=False).startswith("<question>")
    assert decode(fact).strip() == "Berg"
    ((ids, labels),) = made.items([("Who ?", "Ada Berg .", "Berg", "chat")])
    assert ids[labels != WITHOUT_LOSS].tolist() == fact
    # A sentence by itself is read from its second token on, and has no end.
    before, rest = made.encode("", "Ada Berg was born .")
    assert (len(before), decode([*before, *rest])) == (1, "Ada Berg was born .")
    for arguments, line in (
        (("Who ?", "Ada", "Berg"), "the answer 'Ada' has no tokens of 'Berg'"),
        (("Who ?", "Ada", None, "song"), "unknown prompt of the model's row for form 'song'"),
    ):
        with pytest.raises(UserError, match=line):
            made.encode(*arguments)
