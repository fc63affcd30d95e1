"""What a call says that is refused for something which a person can mend."""

from collections.abc import Callable

import pytest

from negmerge.errors import UserError


def refused(call: Callable[[], object]) -> str:
    """Return the one line in which a call ends that must be refused."""
    with pytest.raises(UserError) as caught:
        call()
    line = str(caught.value)
    assert "\n" not in line
    return line
