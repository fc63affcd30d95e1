import pytest

from negmerge.checkpoints.opening import open_state
from negmerge.errors import UserError


@pytest.fixture
def refused():
    """A function that opens and reads a state, and gives the one line that refuses it."""

    def refused(place, key=None):
        with pytest.raises(UserError) as caught:
            list(open_state(place, key).items())
        message = str(caught.value)
        assert "\n" not in message
        return message

    return refused
