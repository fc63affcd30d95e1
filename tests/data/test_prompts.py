from negmerge.data.prompts import fill


def test_the_class_name_stands_at_each_place():
    templates = ["a photo of a {}.", "{} and {}", 'the number: "{}".']
    assert fill(templates, "{x} %s") == [
        "a photo of a {x} %s.",
        "{x} %s and {x} %s",
        'the number: "{x} %s".',
    ]
