"""Measure how well a sentence encoder finds the definitions of terms, topic by topic.

A term is found if its own definition is the nearest among those of all topics. The last line is
what `negmerge unlearn --evaluate` reads: percent found of the topic that is to be forgotten, and of
the others.
"""

import argparse
import csv
import json

from sentence_transformers import SentenceTransformer


def found_by_topic(encoder, rows, part):
    """Return the percentage of found terms of each topic.

    Args:
        encoder: the model.
        rows: topic, term and definition.
        part: 0 for the half of each topic that fine-tuning may use, 1 for the other half.
    """
    terms, definitions = (
        encoder.encode([row[name] for row in rows]) for name in ("term", "definition")
    )
    nearest = (terms @ definitions.T).argmax(axis=1)  # both of length 1
    shares = {}
    for topic in dict.fromkeys(row["topic"] for row in rows):
        places = [place for place, row in enumerate(rows) if row["topic"] == topic][part::2]
        shares[topic] = 100 * sum(nearest[place] == place for place in places) / len(places)
    return shares


def main():
    """Measure, and print a line for each topic and the two scores."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", help="the folder of the encoder")
    parser.add_argument("terms", help="a table with the columns topic, term and definition")
    parser.add_argument("--topic", required=True, help="what is to be forgotten")
    parser.add_argument("--unseen", action="store_true", help="measure the half kept for the end")
    options = parser.parse_args()
    with open(options.terms, encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    encoder = SentenceTransformer(options.model, device="cpu")
    shares = found_by_topic(encoder, rows, int(options.unseen))
    for topic, share in shares.items():
        print(f"{topic:12}{share:6.1f}")
    forget = shares.pop(options.topic)
    print(json.dumps({"forget": forget, "control": sum(shares.values()) / len(shares)}))


if __name__ == "__main__":
    main()
