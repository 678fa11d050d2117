from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from jaxstyle.media.file_types import SAVE_OPTIONS
from jaxstyle.media.image_writer import writable_name

NAMES = st.text(st.sampled_from("aZ0é日😀%:. ~\\\n"), min_size=1)
SUFFIXES = st.sampled_from([*SAVE_OPTIONS, ".JPG", ".gif", ".heic", ".", ""])


@given(st.lists(NAMES.filter(lambda name: name not in (".", "..")), min_size=1), SUFFIXES)
def test_a_name_gets_an_extension_that_can_be_written_and_stays_where_it_is(parts, suffix):
    name = "/".join(parts) + suffix
    written = writable_name(name)
    assert Path(written).suffix.lower() in SAVE_OPTIONS
    assert writable_name(written) == written
    assert Path(written).parent == Path(name).parent
    if suffix.lower() in SAVE_OPTIONS:
        assert written == name
