import pytest

from negmerge import merging, plugins, unlearning
from negmerge.errors import UserError
from negmerge.settings.methods import definition


def test_choices_are_files_with_dashes():
    assert "negmerge" in plugins.names(plugins.MERGE_METHODS)
    assert "l1-sparse" in plugins.names(plugins.UNLEARN_METHODS)
    assert "--init--" not in plugins.names(plugins.SOURCES)
    path = plugins.path(plugins.UNLEARN_METHODS, "l1-sparse")
    assert path == plugins.PACKAGE / "unlearning" / "methods" / "l1_sparse.py"
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
    with pytest.raises(UserError) as caught:
        look_up(plugins.SOURCES, "fabricate")
    names = ", ".join(plugins.names(plugins.SOURCES))
    assert str(caught.value) == (
        f"unknown source 'fabricate'; did you mean 'fabricated'? valid: {names}"
    )
    with pytest.raises(UserError, match=r"^unknown method '\.\./engine'; "):
        look_up(plugins.MERGE_METHODS, "../engine")
