import pytest

from negmerge import merging, plugins, unlearning
from negmerge.errors import UserError
from negmerge.settings.methods import definition
from refusals import refused


def test_choices_are_files_with_dashes():
    assert "negmerge" in plugins.names(plugins.MERGE_METHODS)
    assert "scikit-learn-digits" in plugins.names(plugins.SOURCES)
    assert "--init--" not in plugins.names(plugins.SOURCES)
    path = plugins.path(plugins.SOURCES, "scikit-learn-digits")
    assert path == plugins.PACKAGE / "data" / "sources" / "fabricated.py"
    family = plugins.load(plugins.SOURCES, "letters").SOURCES
    assert plugins.source("scikit-learn-digits") is family["scikit-learn-digits"]
    assert path.is_file()


@pytest.mark.parametrize(
    ("methods", "folder"),
    [(merging.METHODS, plugins.MERGE_METHODS), (unlearning.METHODS, plugins.UNLEARN_METHODS)],
)
def test_the_methods_are_what_the_files_define(methods, folder):
    assert tuple(methods) == plugins.names(folder)
    assert len(methods) == len(plugins.names(folder)) > 10
    assert "no-such-method" not in methods
    for name, method in methods.items():
        assert method is plugins.load(folder, name).METHOD
        assert method is definition(name)


@pytest.mark.parametrize("look_up", [plugins.path, plugins.load])
def test_unknown_choices_are_refused_with_the_nearest(look_up):
    names = ", ".join(plugins.names(plugins.SOURCES))
    assert refused(lambda: look_up(plugins.SOURCES, "scikit-digits")) == (
        f"unknown source 'scikit-digits'; did you mean 'scikit-learn-digits'? valid: {names}"
    )
    with pytest.raises(UserError, match=r"^unknown method '\.\./engine'; "):
        look_up(plugins.MERGE_METHODS, "../engine")
