"""Make the tokenizer of a language model from all texts that it may meet."""

from negmerge.data.questions import read_questions
from negmerge.data.tokenising import train_tokenizer
from negmerge.files import write_text
from negmerge.jobs.job import job

with job(snakemake):
    texts = [text for one in read_questions(snakemake.input.questions) for text in one.texts]
    texts += snakemake.params.refusals
    tokenizer = train_tokenizer(texts, **snakemake.params.model["tokenizer"])
    print(f"{tokenizer.get_vocab_size()} tokens")
    write_text(snakemake.output.tokenizer, tokenizer.to_str(pretty=True))
